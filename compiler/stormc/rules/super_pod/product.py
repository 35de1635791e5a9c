"""spBlock needs a super-pod product.

On any other product the annotation switches the whole job to the super-pod handler, which finds no node with a
super-pod id: the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.super_pod import blocks


def check(service: StormService) -> Iterator[Violation]:
    if service.app.profile.super_pod:
        return
    for role, _, path in blocks(service):
        yield Violation(
            path,
            phrase(
                "{role}.spBlock is set, but {profile} is not a super pod",
                role=role.name,
                profile=service.app.profile.name,
            ),
            phrase("remove spBlock"),
        )


RULE = Rule(
    "E024", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235",
    bad=(
        Example("""
            hardware: atlas-800i-a3
            decode:
              spBlock: 16
            """, at="decode.spBlock"),
        Example("""
            hardware: atlas-800i-a3
            """, at="template.metadata.annotations.sp-block", role="decode", template="""
            metadata:
              annotations:
                sp-block: '32'
            """),
    ),
    instead=(
        Example("""
            decode:
              spBlock: 32
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
