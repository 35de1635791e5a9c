"""No NPU of a pod stays idle.

A pod takes whole nodes whatever its ranks use, so NPUs without a rank are paid for and cannot be given to others.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        used = role.npus_used
        whole = role.spans_pods or role.data_parallel % role.pod_group_size == 0
        if whole and used < role.npus:
            yield Violation(
                (role.name, "tensorParallel"),
                phrase("{role} uses {used} of {npus} NPUs per pod", role=role.name, used=used, npus=role.npus),
                phrase("raise dataParallel or tensorParallel"),
            )


RULE = Rule(
    "W036", __doc__, check,
    source="MindCluster guide, one-click deployment, step 7; mindcluster-deploy k8s-deploy-tool start_server.sh",
    bad=(
        Example("""
            prefill:
              dataParallel: 2
              tensorParallel: 4
            """, at="prefill.tensorParallel"),
    ),
    instead=(
        Example("""
            prefill:
              dataParallel: 4
              tensorParallel: 4
            """),
    ),
)  # fmt: skip
