"""One container of a prefill or decode pod asks for the role's NPUs, with equal limits and requests.

Volcano reads the demand from the PodGroup and the device plugin from the container; where they differ pods are
placed for one number and started with another, or not at all. Pods of another role would join the shared PodGroup,
whose size does not count them.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import HUAWEI_PREFIX
from stormc.facts.pods import CONTAINERS_OF_TEMPLATES
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, Template
from stormc.targets.storm_service import Step


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        expected = {(role.name, kind, service.app.profile.resource, str(role.npus)) for kind in ("limits", "requests")}
        unexpected = min(set(_asked(template, "containers")) ^ expected, default=None)
        if unexpected:
            container, kind, resource, _ = unexpected
            steps: tuple[Step, ...] = ("containers", (container,), "resources", kind, resource)
            yield Violation(
                service.wrote_pod(role.name, steps, (role.name, "npus")),
                phrase(
                    "container {container} of {role} does not ask for {npus} × {resource} as {role}.npus says",
                    container=container,
                    role=role.name,
                    npus=role.npus,
                    resource=service.app.profile.resource,
                ),
                phrase("set npus instead"),
            )
    serving = {role.name for role, _ in service.serving}
    for template in service.templates:
        for where in CONTAINERS_OF_TEMPLATES:
            if where == "containers" and template.role in serving:
                continue
            for container, kind, resource, _ in _asked(template, where):
                steps = (where, (container,), "resources", kind, resource)
                yield Violation(
                    service.wrote_pod(template.role, steps, ("overrides",)),
                    phrase(
                        "container {container} of {role} asks for {resource}, "
                        "which only the engine of prefill and decode may",
                        container=container,
                        role=template.role,
                        resource=resource,
                    ),
                    phrase("remove it"),
                )
                break


def _asked(template: Template, where: str) -> Iterator[tuple[str, str, str, str]]:
    """Container, limits or requests, resource and amount of everything that Volcano takes for a demand of NPUs."""
    for container in template.pod.get(where) or ():
        for kind in ("limits", "requests"):
            for resource, amount in ((container.get("resources") or {}).get(kind) or {}).items():
                if resource.startswith(HUAWEI_PREFIX):
                    yield container["name"], kind, resource, str(amount)


RULE = Rule(
    "E023", __doc__, check,
    source="MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano plugin/job.go:238-258",
    bad=(
        Example(at="template.spec.containers[0].resources.limits.huawei.com/Ascend910", role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  limits:
                    huawei.com/Ascend910: '8'
            """),
        Example(at="template.spec.containers[0].resources.limits.huawei.com/Ascend910", role="decode", template="""
            spec:
              containers:
              - name: side
                image: side:1
                resources:
                  limits:
                    huawei.com/Ascend910: '1'
                  requests:
                    huawei.com/Ascend910: '1'
            """),
        Example(at="template.spec.containers[0].resources.limits.huawei.com/npu-core", role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  limits:
                    huawei.com/npu-core: '4'
            """),
        Example(at="template.spec.initContainers[0].resources.limits.huawei.com/Ascend910", role="decode", template="""
            spec:
              initContainers:
              - name: warm
                image: a:1
                resources:
                  limits:
                    huawei.com/Ascend910: '1'
            """),
        Example(at="template.spec.containers[0].resources.limits.huawei.com/Ascend910", role="routing", template="""
            spec:
              containers:
              - name: router
                resources:
                  limits:
                    huawei.com/Ascend910: '1'
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                resources:
                  limits:
                    cpu: '8'
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
