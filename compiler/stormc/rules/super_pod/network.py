"""Several logical super pods of an instance talk over RoCE.

Volcano may place them in different physical super pods, and only inside one do NPUs have their own network.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.sp_block and not role.sp_block % app.profile.npus and role.pod_group_size * role.npus > role.sp_block:
            yield Violation(
                (role.name, "spBlock"),
                phrase(
                    "an instance of {role} is {pod_group_size} NPUs in logical super pods of {sp_block}",
                    role=role.name,
                    pod_group_size=role.pod_group_size * role.npus,
                    sp_block=role.sp_block,
                ),
                phrase("connect the super pods by RoCE, or set spBlock: {npus}", npus=role.pod_group_size * role.npus),
            )


RULE = Rule(
    "I027", __doc__, check,
    source="MindCluster docs 01_affinity_scheduling/03_ascend_ai_processor_based_affinity.md",
    bad=(
        Example("""
            decode:
              spBlock: 16
            """, at="decode.spBlock"),
    ),
    instead=(
        Example("""
            decode:
              spBlock: 32
            """),
    ),
)  # fmt: skip
