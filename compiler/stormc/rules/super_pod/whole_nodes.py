"""On super pods, the pods of a PodGroup of several take whole nodes.

The super-pod handler accepts a part of a node only for a PodGroup of one pod; others stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if not app.profile.super_pod:
        return
    for role in app.serving_roles:
        if app.gang(role) > 1 and role.npus in app.profile.pod_npus and role.npus != app.profile.npus:
            yield Violation(
                (role.name, "npus"),
                phrase(
                    "{role}.npus {npus} is a part of a node, in a PodGroup of {gang} pods",
                    role=role.name,
                    npus=role.npus,
                    gang=app.gang(role),
                ),
                phrase("set {npus}", npus=app.profile.npus),
            )
            return


RULE = Rule(
    "E026", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235",
    bad=(
        Example("""
            prefill:
              npus: 8
              dataParallel: 1
              allowPartialNode: true
            """, at="prefill.npus"),
    ),
    instead=(
        Example("""
            prefill:
              replicas: 1
              npus: 8
              dataParallel: 1
              allowPartialNode: true
            """),
    ),
)  # fmt: skip
