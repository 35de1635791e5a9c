"""Several logical super pods of an instance talk over RoCE.

Volcano may place them in different physical super pods, and only inside one do NPUs have their own network.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.sp_block and not role.sp_block % app.profile.npus and role.pod_group_size * role.npus > role.sp_block:
            yield Violation(
                (role.name, "spBlock"), f"an instance of {role.name} is {role.pod_group_size * role.npus} NPUs in "
                f"logical super pods of {role.sp_block}", "RoCE must connect the super pods",
            )  # fmt: skip


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
