"""What a pod asks of its node must be something that the scheduler's handler for the product accepts."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.rules.rule import Example, Rule, Violation
from compiler.spec.app import App
from compiler.spec.profile import Platform, release


def check_release(app: App, platform: Platform) -> Iterator[Violation]:
    """The platform's MindCluster release schedules the product.

    An older scheduler has no handler for the product's policy: the PodGroup stays Pending and no event says why.
    """
    if release(platform.mindcluster) < release(app.profile.mindcluster):
        yield Violation(
            ("hardware",),
            f"hardware {app.profile.name} needs MindCluster {app.profile.mindcluster}, the platform runs "
            f"{platform.mindcluster}",
            "set mindcluster in platform.yaml if the cluster was upgraded",
        )


def check_npus(app: App, platform: Platform) -> Iterator[Violation]:
    """The NPUs of a pod are a number that the product's scheduling handler accepts.

    Volcano validates the number in every session; with another one the PodGroup gets the condition
    JobValidateFailed and its pods stay Pending for ever. Nothing is rejected when the manifest is applied.
    """
    for role in app.serving_roles:
        if role.npus not in app.profile.pod_npus:
            legal = ", ".join(map(str, app.profile.pod_npus))
            yield Violation(
                (role.name, "npus"),
                f"{role.name}.npus {role.npus} is not schedulable on {app.profile.name}",
                f"a pod may ask for {legal}",
            )


def check_whole_node(app: App, platform: Platform) -> Iterator[Violation]:
    """A pod takes a whole node unless the spec allows partial ones.

    MindCluster supports StormService with whole-machine scheduling only; the code accepts less on some products.
    """
    for role in app.serving_roles:
        if role.npus in app.profile.pod_npus and role.npus < app.profile.npus and not role.allow_partial_node:
            yield Violation(
                (role.name, "npus"),
                f"{role.name}.npus {role.npus} is a part of a node of {app.profile.npus}",
                "take the whole node, or set allowPartialNode: true",
            )


_DOC = "MindCluster guide, parameter table, huawei.com/Ascend910; ascend-for-volcano plugin/job.go:694-739"

_HALF_NODE = "{hardware: atlas-800i-a3, prefill: {npus: 8, dataParallel: 1, tensorParallel: 8%s}}"

RULES = (
    Rule(
        "E018", check_release, "MindCluster docs, 07_Intergenerational_upgrade.md; ascend-for-volcano factory.go:49-67",
        bad=(Example("{hardware: atlas-850, prefill: {tensorParallel: 4}, decode: {dataParallel: 16}}", "hardware"),),
        good=(Example("hardware: atlas-900-a3-superpod"),),
    ),
    Rule(
        "E022", check_npus, _DOC,
        bad=(Example("prefill: {npus: 7, dataParallel: 7, tensorParallel: 1}", "prefill.npus"),),
        good=(Example("prefill: {npus: 16}"),),
    ),
    Rule(
        "W022", check_whole_node, _DOC,
        bad=(Example(_HALF_NODE % "", "prefill.npus"),),
        good=(Example(_HALF_NODE % ", allowPartialNode: true"),),
    ),
)  # fmt: skip
