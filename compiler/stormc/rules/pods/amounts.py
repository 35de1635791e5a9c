"""No container requests more than its limit.

The StormService is accepted; its pods are not, and AIBrix tries again for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import HUAWEI_PREFIX
from stormc.model.quantity import exceeds
from stormc.phrase import phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        for resource, amount in (resources.get("requests") or {}).items():
            if resource in limits and not resource.startswith(HUAWEI_PREFIX) and exceeds(amount, limits[resource]):
                path = wrote(service, template, kind, container["name"], "resources", "requests", resource)
                if path == ("overrides",):
                    path = wrote(service, template, kind, container["name"], "resources", "limits", resource)
                yield Violation(
                    path,
                    phrase(
                        "container {container} of {role} requests {amount} {resource}, its limit is {limits}",
                        container=container["name"],
                        role=template.role,
                        amount=amount,
                        resource=resource,
                        limits=limits[resource],
                    ),
                    phrase("patch requests and limits together"),
                )


RULE = Rule(
    "E073", __doc__, check,
    source="Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example(at="template.spec.containers[0].resources.requests.cpu", role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  requests:
                    cpu: 8
                  limits:
                    cpu: 7500m
            """),
        Example("""
            decode:
              resources:
                memory: 64Gi
            """, at="template.spec.containers[0].resources.limits.memory", role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  limits:
                    memory: 32Gi
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  requests:
                    cpu: 8
                  limits:
                    cpu: 8
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
