"""A pod takes a whole node unless the spec allows partial ones.

MindCluster supports StormService with whole-machine scheduling only; the code accepts less on some products.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if app.profile.super_pod and app.gang(role) > 1:
            continue  # E026: there the pods have to take whole nodes
        if role.npus in app.profile.pod_npus and role.npus < app.profile.npus and not role.allow_partial_node:
            yield Violation(
                (role.name, "npus"),
                phrase(
                    "{role}.npus {npus} is a part of a node of {profile_npus}",
                    role=role.name,
                    npus=role.npus,
                    profile_npus=app.profile.npus,
                ),
                phrase("take the whole node, or set allowPartialNode: true"),
            )


RULE = Rule(
    "W022", __doc__, check,
    source="MindCluster guide, parameter table, huawei.com/Ascend910; ascend-for-volcano plugin/job.go:694-739",
    bad=(
        Example("""
            hardware: atlas-800i-a3
            prefill:
              npus: 8
              dataParallel: 1
              tensorParallel: 8
            """, at="prefill.npus"),
    ),
    instead=(
        Example("""
            hardware: atlas-800i-a3
            prefill:
              npus: 8
              dataParallel: 1
              tensorParallel: 8
              allowPartialNode: true
            """),
    ),
)  # fmt: skip
