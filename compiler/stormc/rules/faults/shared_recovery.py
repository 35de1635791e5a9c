"""In the PodGroup that roles of podGroupSize 1 share, recovery stops at the pod.

Without both `pod-rescheduling: on` and `recover_policy_path: pod` the fault of one chip makes Volcano delete every
pod of the PodGroup: all prefill and decode instances of podGroupSize 1 at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.sharing:
        if template.labels.get(Label.POD_RESCHEDULING) != "on":
            path = service.wrote_key(role.name, "labels", Label.POD_RESCHEDULING)
            yield Violation(
                path,
                phrase("{role} has podGroupSize 1 and no {key}: on", role=role.name, key=Label.POD_RESCHEDULING),
                phrase("remove it from the override"),
            )
        if template.annotations.get(Annotation.RECOVER_POLICY_PATH) != "pod":
            path = service.wrote_key(role.name, "annotations", Annotation.RECOVER_POLICY_PATH)
            yield Violation(
                path,
                phrase(
                    "{role} has podGroupSize 1 and no {key}: pod", role=role.name, key=Annotation.RECOVER_POLICY_PATH
                ),
                phrase("remove it from the override"),
            )


RULE = Rule(
    "E006", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:409-454, 521-526; MindCluster guide, instance rescheduling",
    bad=(
        Example(at="template.metadata.labels.pod-rescheduling", role="prefill", template="""
            metadata:
              labels:
                pod-rescheduling: 'off'
            """),
        Example(at="template.metadata.annotations.huawei.com/recover_policy_path", role="prefill", template="""
            metadata:
              annotations:
                huawei.com/recover_policy_path: null
            """),
    ),
    instead=(
        Example("""
            faults:
              scheduling: 'off'
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
