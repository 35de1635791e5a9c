"""External data parallelism needs more than one rank.

distributedDp starts one process per rank and tells each its rank; vLLM refuses a rank without data parallelism.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.distributed_dp and role.data_parallel == 1:
            yield Violation(
                (role.name, "distributedDp"),
                phrase("{role}.distributedDp is true with dataParallel 1", role=role.name),
                phrase("remove distributedDp or raise dataParallel"),
            )


RULE = Rule(
    "E037", __doc__, check,
    source="MindCluster guide, one-click deployment, step 7; mindcluster-deploy k8s-deploy-tool start_server.sh",
    bad=(
        Example("""
            prefill:
              distributedDp: true
              dataParallel: 1
              tensorParallel: 16
            """, at="prefill.distributedDp"),
    ),
    instead=(
        Example("""
            prefill:
              distributedDp: false
              dataParallel: 2
              tensorParallel: 8
            """),
    ),
)  # fmt: skip
