"""Ranks divide evenly over the pods of an instance and fill their NPUs.

Every pod starts dataParallel / podGroupSize ranks of tensorParallel NPUs each, times pipelineParallel and
prefillContextParallel; a single rank runs over all pods of its instance. With a remainder some rank has no pod; with
more ranks than NPUs a process finds no device; both end as a crash loop after the image is pulled.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.model.role import Role
from stormc.phrase import Phrase, alternatives, phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.spans_pods and role.world_size % role.pod_group_size:
            yield _rank_does_not_divide(role)
        elif role.data_parallel % role.pod_group_size and not role.spans_pods:
            yield _ranks_do_not_divide(role)
        elif app.profile.super_pod and app.gang(role) > 1 and role.npus < role.npus_used <= app.profile.npus:
            continue  # E026: these pods have to take whole nodes, on which the ranks fit
        elif role.npus_used > role.npus:
            message = phrase(
                "{role} needs {used} NPUs per pod, a pod has {npus}",
                role=role.name,
                used=_arithmetic(role),
                npus=role.npus,
            )
            cause = "dataParallel" if role.tensor_parallel == 1 and role.data_parallel > 1 else "tensorParallel"
            yield Violation((role.name, cause), message, _ways_out(role))


def _rank_does_not_divide(role: Role) -> Violation:
    message = phrase(
        "{role}: the {world_size} NPUs of its rank do not divide over podGroupSize {size}",
        role=role.name,
        world_size=role.world_size,
        size=role.pod_group_size,
    )
    return Violation(
        (role.name, "tensorParallel"), message, phrase("take a multiple of {size}", size=role.pod_group_size)
    )


def _ranks_do_not_divide(role: Role) -> Violation:
    ranks, size = role.data_parallel, role.pod_group_size
    message = phrase(
        "{role}.dataParallel {ranks} is not a multiple of podGroupSize {size}", role=role.name, ranks=ranks, size=size
    )
    lower, higher = max(1, ranks // size) * size, (ranks // size + 1) * size
    hint = phrase("set dataParallel to {lower} or {higher}", lower=lower, higher=higher)
    return Violation((role.name, "dataParallel"), message, hint)


def _arithmetic(role: Role) -> str:
    if role.spans_pods:
        return f"{role.world_size} / {role.pod_group_size} = {role.npus_used}"
    sizes = (role.local_ranks, role.tensor_parallel, role.pipeline_parallel, role.prefill_context)
    factors = [str(size) for place, size in enumerate(sizes) if place < 2 or size > 1]
    return f"{' × '.join(factors)} = {role.npus_used}"


def _ways_out(role: Role) -> Phrase:
    """What to change, each by itself, so that the ranks fit."""
    ways = []
    pods = -(-role.data_parallel * role.world_size // role.npus)
    if role.data_parallel > 1 and role.data_parallel % pods == 0:
        ways.append(f"podGroupSize: {pods}")
    if role.npus >= role.world_size:
        ways.append(f"dataParallel: {role.npus // role.world_size * role.pod_group_size}")
    others = role.npus_used // role.tensor_parallel
    if others and role.npus >= others:
        ways.append(f"tensorParallel: {1 << (role.npus // others).bit_length() - 1}")
    if not ways:
        return phrase("at most {npus} NPUs per pod", npus=role.npus)
    return phrase("set {ways}", ways=alternatives(ways))


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
              tensorParallel: 15
            """, at="prefill.tensorParallel"),
        Example("""
            prefill:
              dataParallel: 2
              tensorParallel: 8
              pipelineParallel: 2
            """, at="prefill.tensorParallel"),
        Example("""
            prefill:
              dataParallel: 4
              tensorParallel: 8
            """, at="prefill.tensorParallel"),
    ),
    instead=(
        Example("""
            prefill:
              dataParallel: 1
              podGroupSize: 2
              tensorParallel: 16
              pipelineParallel: 2
            """),
        Example("""
            decode:
              dataParallel: 8
              podGroupSize: 4
              tensorParallel: 8
            """),
    ),
)  # fmt: skip
