"""Without spBlock prefill and decode of podGroupSize 1 go into one super pod.

They share a PodGroup, and without sp-block a PodGroup is one logical super pod: with no super pod that has room for
all of them at once, none starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation
from stormc.rules.super_pod import without_block


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if len([role for role in without_block(app) if role.shares_pod_group]) == 2:
        yield Violation(
            ("decode",),
            phrase("prefill and decode have podGroupSize 1 and no spBlock: all must fit one super pod"),
            phrase("set spBlock: {npus} in both", npus=app.profile.npus),
        )


RULE = Rule(
    "W026", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235",
    bad=(
        Example("""
            prefill: {}
            decode:
              podGroupSize: 1
              dataParallel: 16
            """, at="decode"),
    ),
    instead=(
        Example("""
            prefill:
              spBlock: 16
            decode:
              podGroupSize: 1
              dataParallel: 16
              spBlock: 16
            """),
    ),
    good=(
        Example(),
    ),
)  # fmt: skip
