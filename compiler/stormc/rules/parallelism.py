"""Ranks, pods and NPUs must add up, or the engine waits for ranks that nobody starts."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check_ranks(app: App, platform: Platform) -> Iterator[Violation]:
    """Data-parallel ranks divide evenly over the pods of an instance and fill their NPUs.

    Every pod starts dataParallel / podGroupSize ranks of tensorParallel NPUs each. With a remainder some rank has no
    pod; with more ranks than NPUs a process finds no device; both end as a crash loop after the image is pulled.
    """
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


def check_idle_npus(app: App, platform: Platform) -> Iterator[Violation]:
    """No NPU of a pod stays idle.

    A pod takes whole nodes whatever its ranks use, so NPUs without a rank are paid for and cannot be given to others.
    """
    for role in app.serving_roles:
        used = role.local_ranks * role.tensor_parallel
        if role.data_parallel % role.pod_group_size == 0 and used < role.npus:
            yield Violation(
                (role.name, "tensorParallel"),
                f"{role.name} uses {used} of {role.npus} NPUs per pod",
                "raise dataParallel or tensorParallel",
            )


def check_distributed(app: App, platform: Platform) -> Iterator[Violation]:
    """External data parallelism needs more than one rank.

    distributedDp starts one process per rank and tells each its rank; vLLM refuses a rank without data parallelism.
    """
    for role in app.serving_roles:
        if role.distributed_dp and role.data_parallel == 1:
            yield Violation(
                (role.name, "distributedDp"),
                f"{role.name}.distributedDp is true with dataParallel 1",
                "remove distributedDp or raise dataParallel",
            )


_DOC = "MindCluster guide, one-click deployment, step 7; mindcluster-deploy k8s-deploy-tool start_server.sh"

RULES = (
    Rule(
        "E036", check_ranks, _DOC,
        bad=(
            Example("decode: {dataParallel: 6, podGroupSize: 4}", "decode.dataParallel"),
            Example("prefill: {dataParallel: 1, podGroupSize: 2, tensorParallel: 16}", "prefill.dataParallel"),
            Example("prefill: {dataParallel: 4, tensorParallel: 8}", "prefill.tensorParallel"),
        ),
        good=(Example("decode: {dataParallel: 8, podGroupSize: 4, tensorParallel: 8}"),),
    ),
    Rule(
        "W036", check_idle_npus, _DOC,
        bad=(Example("prefill: {dataParallel: 2, tensorParallel: 4}", "prefill.tensorParallel"),),
        good=(Example("prefill: {dataParallel: 4, tensorParallel: 4}"),),
    ),
    Rule(
        "E037", check_distributed, _DOC,
        bad=(Example("prefill: {distributedDp: true, dataParallel: 1, tensorParallel: 16}", "prefill.distributedDp"),),
        good=(Example("prefill: {distributedDp: false, dataParallel: 2, tensorParallel: 8}"),),
    ),
)  # fmt: skip
