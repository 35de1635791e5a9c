"""The pods name the scheduling handler of their product.

Without accelerator-type and schedule_policy Volcano takes the handler of the first 910 boards; a foreign value
selects the handler of another product. Both refuse the NPU count or find no node.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, NodeLabel, Resource
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    profile, platform = service.app.profile, service.platform
    for role, template in service.serving:
        policy = template.annotations.get(Annotation.SCHEDULE_POLICY)
        kind = template.node_selector.get(NodeLabel.ACCELERATOR_TYPE)
        if policy is not None and policy != profile.schedule_policy:
            path = service.wrote_key(role.name, "annotations", Annotation.SCHEDULE_POLICY, ("hardware",))
            yield Violation(
                path,
                phrase("schedule_policy {policy} is not that of {profile}", policy=policy, profile=profile.name),
                phrase("remove it, or choose other hardware"),
            )
        elif kind is not None and kind != profile.accelerator_type:
            path = service.wrote_key(role.name, "nodeSelector", NodeLabel.ACCELERATOR_TYPE, ("hardware",))
            yield Violation(
                path,
                phrase("accelerator-type {kind} is not that of {profile}", kind=kind, profile=profile.name),
                phrase("remove it, or choose other hardware"),
            )
        elif policy is None and (kind is None or not platform.labels_nodes or profile.resource == Resource.NPU):
            path = service.wrote_key(role.name, "annotations", Annotation.SCHEDULE_POLICY, ("hardware",))
            if path[0] != "overrides":
                path = service.wrote_key(role.name, "nodeSelector", NodeLabel.ACCELERATOR_TYPE, ("hardware",))
            yield Violation(
                path,
                phrase("{role} names no scheduling handler", role=role.name),
                phrase("remove the override: hardware sets the handler"),
            )


RULE = Rule(
    "E019", __doc__, check,
    source="ascend-for-volcano internal/npu/factory.go:49-67, 220-252, internal/controller.go:88-99",
    bad=(
        Example(at="template.metadata.annotations.huawei.com/schedule_policy", role="decode", template="""
            metadata:
              annotations:
                huawei.com/schedule_policy: chip8-node8
            """),
        Example(at="template.spec.nodeSelector.accelerator-type", role="decode", template="""
            spec:
              nodeSelector:
                accelerator-type: null
            """),
        Example(at="template.spec.nodeSelector.accelerator-type", role="decode", template="""
            spec:
              nodeSelector:
                accelerator-type: module-910b-8
            """),
    ),
    instead=(
        Example("""
            hardware: atlas-800i-a3
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
