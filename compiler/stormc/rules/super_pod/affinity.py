"""super-pod-affinity is soft or hard, on a super pod.

The scheduler reads the label on super pods only, and takes any other value than soft as hard: where a logical super
pod then fits into no physical one, the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.finding import did_you_mean
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

VALUES = ("soft", "hard")


def check(service: StormService) -> Iterator[Violation]:
    profile = service.app.profile
    for template in service.templates:
        value = template.labels.get(Label.SUPER_POD_AFFINITY)
        path = service.wrote_key(template.role, "labels", Label.SUPER_POD_AFFINITY)
        if value is not None and not profile.super_pod:
            message = phrase(
                "{role}: super-pod-affinity has no effect on {profile}", role=template.role, profile=profile.name
            )
            yield Violation(path, message, phrase("remove it"))
        elif value is not None and value not in VALUES:
            message = phrase("{role}: super-pod-affinity {value} counts as hard", role=template.role, value=value)
            yield Violation(path, message, did_you_mean(value, VALUES) or phrase("write soft or hard"))


RULE = Rule(
    "W737", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:490-496",
    bad=(
        Example("""
            decode:
              labels:
                super-pod-affinity: sof
            prefill:
              labels:
                super-pod-affinity: sof
            """, at="prefill.labels.super-pod-affinity"),
        Example("""
            hardware: atlas-800i-a3
            decode:
              labels:
                super-pod-affinity: soft
            prefill:
              labels:
                super-pod-affinity: soft
            """, at="prefill.labels.super-pod-affinity"),
    ),
    instead=(
        Example("""
            decode:
              labels:
                super-pod-affinity: soft
            prefill:
              labels:
                super-pod-affinity: soft
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
