"""Roles that share a PodGroup ask for the same number of NPUs per pod.

Volcano takes the demand of the first pod for that of all, so the decision to enqueue is made on a wrong number.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    one, other = app.serving_roles
    if app.profile.super_pod or not (one.shares_pod_group and other.shares_pod_group):
        return  # on super pods both take whole nodes
    if one.npus != other.npus:
        yield Violation(
            ("decode", "npus"),
            phrase(
                "prefill and decode share a PodGroup, with {npus} and {other_npus} NPUs per pod",
                npus=one.npus,
                other_npus=other.npus,
            ),
            phrase("ask for the same number in both"),
        )


RULE = Rule(
    "W010", __doc__, check,
    source="ascend-for-volcano plugin/job.go:238-258, 547-571",
    bad=(
        Example("""
            hardware: atlas-800i-a3
            decode:
              podGroupSize: 1
              dataParallel: 8
              npus: 8
              allowPartialNode: true
            """, at="decode.npus"),
    ),
    instead=(
        Example("""
            hardware: atlas-800i-a3
            decode:
              podGroupSize: 1
              dataParallel: 16
              npus: 16
              allowPartialNode: true
            """),
    ),
)  # fmt: skip
