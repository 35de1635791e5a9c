"""Data-parallel ranks divide evenly over the pods of an instance and fill their NPUs.

Every pod starts dataParallel / podGroupSize ranks of tensorParallel NPUs each. With a remainder some rank has no
pod; with more ranks than NPUs a process finds no device; both end as a crash loop after the image is pulled.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        ranks, size, tp = role.data_parallel, role.pod_group_size, role.tensor_parallel
        if ranks % size:
            yield Violation(
                (role.name, "dataParallel"),
                f"{role.name}.dataParallel {ranks} is not a multiple of podGroupSize {size}",
                f"set dataParallel to {max(1, ranks // size) * size} or {(ranks // size + 1) * size}",
            )
        elif role.local_ranks * tp > role.npus:
            yield Violation(
                (role.name, "tensorParallel"),
                f"{role.name} needs {role.local_ranks} × {tp} = {role.local_ranks * tp} NPUs per pod, "
                f"a pod has {role.npus}",
                "dataParallel / podGroupSize × tensorParallel must equal the NPUs of a pod",
            )


RULE = Rule(
    "E036", __doc__, check,
    source="MindCluster guide, one-click deployment, step 7; mindcluster-deploy k8s-deploy-tool start_server.sh",
    bad=(
        Example("""
            decode:
              dataParallel: 6
              podGroupSize: 4
            """, at="decode.dataParallel"),
        Example("""
            prefill:
              dataParallel: 1
              podGroupSize: 2
              tensorParallel: 16
            """, at="prefill.dataParallel"),
        Example("""
            prefill:
              dataParallel: 4
              tensorParallel: 8
            """, at="prefill.tensorParallel"),
    ),
    instead=(
        Example("""
            decode:
              dataParallel: 8
              podGroupSize: 4
              tensorParallel: 8
            """),
    ),
)  # fmt: skip
