"""accelerator-type and host-arch select nodes up to MindCluster 26.0 only.

The guides of 26.1 no longer have people label nodes with them: on a fresh cluster the pods stay Pending. From then on
stormc selects the architecture by kubernetes.io/arch, which the kubelet labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.scheduling import HANDLER_LABELS
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if service.platform.labels_nodes:
        return
    for template in service.templates:
        for key in HANDLER_LABELS:
            if key in template.node_selector:
                path = service.wrote_key(template.role, "nodeSelector", key)
                yield Violation(
                    path,
                    phrase(
                        "nodes carry no {key} with MindCluster {mindcluster}",
                        key=key,
                        mindcluster=service.platform.mindcluster,
                    ),
                    phrase("use kubernetes.io/arch or what the device plugin labels"),
                    at_key=True,
                )


RULE = Rule(
    "W020", __doc__, check,
    source="mind-cluster commit b7ebe0b4; ascend-device-plugin pkg/server/manager.go:329-333",
    bad=(
        Example(at="template.spec.nodeSelector.host-arch", role="decode", template="""
            spec:
              nodeSelector:
                host-arch: huawei-arm
            """, platform="mindcluster: '26.1'"),
    ),
    instead=(
        Example("""
            hostArch: arm
            """, platform="mindcluster: '26.1'"),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
