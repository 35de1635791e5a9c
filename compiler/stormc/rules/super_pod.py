"""Logical super pods: what sp-block may be, and where."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation
from stormc.finding import Path
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.rules.finished import Finished
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, both, in_role

BLOCK = Annotation.SP_BLOCK
RACK_BLOCK = Annotation.RA_BLOCK
RACK_POLICY = "chip8-node8-ra64-sp"


def _blocks(finished: Finished) -> Iterator[tuple[Role, str, Path]]:
    """Role, value and place of every sp-block."""
    for role, template in finished.serving:
        value = template.annotations.get(BLOCK)
        if value is not None:
            yield role, value, finished.wrote_key(role.name, "annotations", BLOCK, (role.name, "spBlock"))


def check_product(finished: Finished) -> Iterator[Violation]:
    """spBlock needs a super-pod product.

    On any other product the annotation switches the whole job to the super-pod handler, which finds no node with a
    super-pod id: the pods stay Pending.
    """
    if finished.app.profile.super_pod:
        return
    for role, _, path in _blocks(finished):
        yield Violation(
            path, f"{role.name}.spBlock is set, but {finished.app.profile.name} is no super pod", "remove spBlock"
        )


def check_block(finished: Finished) -> Iterator[Violation]:
    """spBlock fits the node, the super pod and the NPUs of its PodGroup.

    A logical super pod is made of whole nodes inside one physical super pod, and a PodGroup, as well as its
    minAvailable, of whole logical super pods. Volcano checks all of it and leaves the PodGroup Pending otherwise.
    """
    if not finished.app.profile.super_pod:
        return
    for role, value, path in _blocks(finished):
        block = int(value) if value.isascii() and value.isdigit() else 0
        problem = _block_problem(finished, role, block)
        if problem:
            yield Violation(path, f"{role.name}.spBlock {value} {problem[0]}", problem[1])


def _block_problem(finished: Finished, role: Role, block: int) -> tuple[str, str] | None:
    app, platform = finished.app, finished.platform
    node, total = app.profile.npus, role.npus * app.gang(role)
    if block < 1:
        return "is no number above 0", f"set a multiple of {node}"
    if app.gang(role) == 1:
        return (
            None if block == role.npus else (f"differs from the {role.npus} NPUs of its only pod", f"set {role.npus}")
        )
    if block % node:
        return f"is not a multiple of the {node} NPUs of a node", f"set a multiple of {node}"
    if block > platform.super_pod_size * node:
        most = platform.super_pod_size * node
        return f"exceeds a super pod of {platform.super_pod_size} nodes", f"at most {most}"
    if total % block:
        return (
            f"does not divide the {total} NPUs of its PodGroup",
            f"set a divisor of {total} that is a multiple of {node}",
        )
    least = role.npus * min(role.min_available or app.gang(role), app.gang(role))
    if least % block:
        return f"does not divide the {least} NPUs of minAvailable {role.min_available}", "remove minAvailable"
    return None


def check_whole_nodes(app: App, platform: Platform) -> Iterator[Violation]:
    """On super pods, the pods of a PodGroup of several take whole nodes.

    The super-pod handler accepts a part of a node only for a PodGroup of one pod; others stay Pending.
    """
    if not app.profile.super_pod:
        return
    for role in app.serving_roles:
        if app.gang(role) > 1 and role.npus in app.profile.pod_npus and role.npus != app.profile.npus:
            yield Violation(
                (role.name, "npus"), f"{role.name}.npus {role.npus} is a part of a node, in a PodGroup of "
                f"{app.gang(role)} pods", f"set {app.profile.npus}",
            )  # fmt: skip
            return


def check_one_super_pod(app: App, platform: Platform) -> Iterator[Violation]:
    """Without spBlock a whole PodGroup fits one super pod.

    The default of sp-block is all NPUs of the PodGroup: one logical super pod, which never spans two physical ones.
    """
    for role in _without_block(app):
        if app.gang(role) * role.npus > platform.super_pod_size * app.profile.npus:
            yield Violation(
                (role.name, "podGroupSize" if role.pod_group_size > 1 else "replicas"),
                f"{app.gang(role)} pods without spBlock exceed a super pod of {platform.super_pod_size} nodes",
                "set spBlock",
            )
            return


def check_coupled(app: App, platform: Platform) -> Iterator[Violation]:
    """Without spBlock prefill and decode of podGroupSize 1 go into one super pod.

    They share a PodGroup, and without sp-block a PodGroup is one logical super pod: with no super pod that has room for
    all of them at once, none starts.
    """
    if len([role for role in _without_block(app) if role.shares_pod_group]) == 2:
        yield Violation(
            ("decode",), "prefill and decode have podGroupSize 1 and no spBlock: all must fit one super pod",
            f"set spBlock: {app.profile.npus} in both",
        )  # fmt: skip


def _without_block(app: App) -> list[Role]:
    return [role for role in app.serving_roles if app.profile.super_pod and role.sp_block is None]


def check_network(app: App, platform: Platform) -> Iterator[Violation]:
    """Several logical super pods of an instance talk over RoCE.

    Volcano may place them in different physical super pods, and only inside one do NPUs have their own network.
    """
    for role in app.serving_roles:
        if role.sp_block and not role.sp_block % app.profile.npus and role.pod_group_size * role.npus > role.sp_block:
            yield Violation(
                (role.name, "spBlock"), f"an instance of {role.name} is {role.pod_group_size * role.npus} NPUs in "
                f"logical super pods of {role.sp_block}", "RoCE must connect the super pods",
            )  # fmt: skip


def check_rack(finished: Finished) -> Iterator[Violation]:
    """ra-block is a power of two up to 64 and up to sp-block, on Atlas 950 SuperPoD.

    Only its handler reads the annotation, in nodes of 8. It leaves the pods Pending for any other number, and where
    the nodes of sp-block (without one, all of the PodGroup) are no multiple of those of ra-block.
    """
    profile = finished.app.profile
    for role, template in finished.serving:
        value = template.annotations.get(RACK_BLOCK)
        if value is None:
            continue
        path = finished.wrote_key(role.name, "annotations", RACK_BLOCK)
        number = int(value) if value.isascii() and value.isdigit() else 0
        if profile.schedule_policy != RACK_POLICY:
            yield Violation(path, f"{profile.name} has no racks for ra-block", "remove it", at_key=True)
        elif number not in (1, 2, 4, 8, 16, 32, 64):
            yield Violation(path, f"ra-block {value} is no power of two from 1 to 64", "the default is 8")
        else:
            block = role.sp_block or finished.app.gang(role) * role.npus
            if -(-block // profile.npus) % -(-number // profile.npus):
                yield Violation(path, f"ra-block {value} does not divide the {block} NPUs of a logical super pod",
                                "choose a divisor of spBlock, or raise spBlock")  # fmt: skip


_FRAME = "ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235"
_950 = (
    "{hardware: atlas-950-superpod, prefill: {replicas: 1, dataParallel: 8, tensorParallel: 1%s}, "
    "decode: {dataParallel: 16}}"
)
_ONE_POD_GROUP = "{prefill: {%s}, decode: {podGroupSize: 1, dataParallel: 16%s}}"

RULES = (
    Rule(
        "E024", check_product, _FRAME,
        bad=(
            Example("{hardware: atlas-800i-a3, decode: {spBlock: 16}}", "decode.spBlock"),
            Example(both("hardware: atlas-800i-a3", in_role("decode", "{metadata: {annotations: {sp-block: '32'}}}")),
                    f"{IN_ROLE}.metadata.annotations.sp-block"),
        ),
        good=(Example("decode: {spBlock: 32}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E025", check_block, _FRAME,
        bad=(
            Example("decode: {spBlock: 24}", "decode.spBlock"),
            Example("decode: {spBlock: 48}", "decode.spBlock"),
            Example("prefill: {replicas: 1, spBlock: 32}", "prefill.spBlock"),
            Example("decode: {podGroupSize: 4, dataParallel: 64, spBlock: 32, minAvailable: 3}", "decode.spBlock"),
            Example("decode: {podGroupSize: 64, dataParallel: 1024, spBlock: 1024}", "decode.spBlock"),
            Example(in_role("decode", "{metadata: {annotations: {sp-block: all}}}"),
                    f"{IN_ROLE}.metadata.annotations.sp-block"),
        ),
        good=(Example("prefill: {replicas: 2, spBlock: 16}"), Example("decode: {spBlock: 32}")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E026", check_whole_nodes, _FRAME,
        bad=(Example("prefill: {npus: 8, dataParallel: 1, allowPartialNode: true}", "prefill.npus"),),
        good=(Example("prefill: {replicas: 1, npus: 8, dataParallel: 1, allowPartialNode: true}"),),
    ),
    Rule(
        "E027", check_one_super_pod, _FRAME,
        bad=(Example("decode: {podGroupSize: 64, dataParallel: 1024}", "decode.podGroupSize"),),
        good=(Example("decode: {podGroupSize: 64, dataParallel: 1024, spBlock: 512}"),),
    ),
    Rule(
        "W026", check_coupled, _FRAME,
        bad=(Example(_ONE_POD_GROUP % ("", ""), "decode"),),
        good=(Example(_ONE_POD_GROUP % ("spBlock: 16", ", spBlock: 16")), Example("")),
    ),
    Rule(
        "I027", check_network, "MindCluster docs 01_affinity_scheduling/03_ascend_ai_processor_based_affinity.md",
        bad=(Example("decode: {spBlock: 16}", "decode.spBlock"),),
        good=(Example("decode: {spBlock: 32}"),),
    ),
    Rule(
        "E028", check_rack, "ascend-for-volcano policy/chip8node8ra64sp/job.go:35-240",
        bad=(
            Example(_950 % ", annotations: {ra-block: '3'}", "prefill.annotations.ra-block", 'mindcluster: "26.0"'),
            Example(_950 % ", spBlock: 8, annotations: {ra-block: '16'}", "prefill.annotations.ra-block",
                    'mindcluster: "26.0"'),
            Example(_950 % ", annotations: {ra-block: '16'}", "prefill.annotations.ra-block", 'mindcluster: "26.0"'),
            Example("decode: {annotations: {ra-block: '8'}}", "decode.annotations.ra-block"),
        ),
        good=(
            Example(_950 % ", annotations: {ra-block: '8'}", platform='mindcluster: "26.0"'),
            Example(_950.replace("16}", "16, annotations: {ra-block: '16'}}") % "", platform='mindcluster: "26.0"'),
        ),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
