"""Without spBlock a whole PodGroup fits one super pod.

The default of sp-block is all NPUs of the PodGroup: one logical super pod, which never spans two physical ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation
from stormc.rules.super_pod import without_block


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in without_block(app):
        if app.gang(role) * role.npus > platform.super_pod_size * app.profile.npus:
            yield Violation(
                (role.name, "podGroupSize" if role.pod_group_size > 1 else "replicas"),
                phrase(
                    "{gang} pods without spBlock exceed a super pod, superPodSize {super_pod_size}",
                    gang=app.gang(role),
                    super_pod_size=platform.super_pod_size,
                ),
                phrase(
                    "set spBlock to a divisor of {total} that is a multiple of {node}",
                    total=app.gang(role) * role.npus,
                    node=app.profile.npus,
                ),
            )
            return


RULE = Rule(
    "E027", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235",
    bad=(
        Example("""
            decode:
              podGroupSize: 64
              dataParallel: 1024
            """, at="decode.podGroupSize"),
    ),
    instead=(
        Example("""
            decode:
              podGroupSize: 64
              dataParallel: 1024
              spBlock: 512
            """),
    ),
)  # fmt: skip
