"""spBlock needs a super-pod product.

On any other product the annotation switches the whole job to the super-pod handler, which finds no node with a
super-pod id: the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation
from stormc.rules.super_pod import blocks


def check(finished: Finished) -> Iterator[Violation]:
    if finished.app.profile.super_pod:
        return
    for role, _, path in blocks(finished):
        yield Violation(
            path, f"{role.name}.spBlock is set, but {finished.app.profile.name} is no super pod", "remove spBlock"
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
    good=(
        Example("""
            decode:
              spBlock: 32
            """),
    ),
    sees=Sees.MANIFESTS,
)  # fmt: skip
