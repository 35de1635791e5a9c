"""Every mounted volume is declared.

The StormService is accepted; its pods are not, and AIBrix tries again for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        volumes = {volume["name"] for volume in template.pod.get("volumes") or ()}
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in volumes:
                path = wrote(service, template, kind, container["name"], "volumeMounts", (mount["mountPath"],))
                yield Violation(
                    path,
                    phrase(
                        "{role} mounts volume {mount}, which it does not declare",
                        role=template.role,
                        mount=mount["name"],
                    ),
                    phrase("add it to volumes"),
                )


RULE = Rule(
    "E059", __doc__, check,
    source="Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example(at="template.spec.containers[0].volumeMounts[0]", role="decode", template="""
            spec:
              containers:
              - name: decode
                volumeMounts:
                - name: cache
                  mountPath: /cache
            """),
        Example(at="template.spec.initContainers[0].volumeMounts[0]", role="decode", template="""
            spec:
              initContainers:
              - name: warm
                image: a:1
                volumeMounts:
                - name: cache
                  mountPath: /cache
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              volumes:
              - name: cache
                emptyDir: {}
              containers:
              - name: decode
                volumeMounts:
                - name: cache
                  mountPath: /cache
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
