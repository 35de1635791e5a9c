"""Logical super pods: what sp-block may be, and where."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.rules.rule import Example, Rule, Violation
from compiler.spec.app import App, Role
from compiler.spec.profile import Platform


def check_product(app: App, platform: Platform) -> Iterator[Violation]:
    """spBlock needs a super-pod product.

    On any other product the annotation switches the whole job to the super-pod handler, which finds no node with a
    super-pod id: the pods stay Pending.
    """
    for role in app.serving_roles:
        if role.sp_block and not app.profile.super_pod:
            yield Violation(
                (role.name, "spBlock"), f"{role.name}.spBlock is set, but {app.profile.name} is no super pod",
                "remove spBlock",
            )  # fmt: skip


def check_block(app: App, platform: Platform) -> Iterator[Violation]:
    """spBlock fits the node, the super pod and the NPUs of its PodGroup.

    A logical super pod is made of whole nodes inside one physical super pod, and a PodGroup of whole logical super
    pods. Volcano checks all three and leaves the PodGroup Pending otherwise.
    """
    if not app.profile.super_pod:
        return
    for role in app.serving_roles:
        problem = _block_problem(app, role, platform) if role.sp_block else None
        if problem:
            message, hint = problem
            yield Violation((role.name, "spBlock"), f"{role.name}.spBlock {role.sp_block} {message}", hint)


def _block_problem(app: App, role: Role, platform: Platform) -> tuple[str, str] | None:
    block, node = role.sp_block or 0, app.profile.npus
    total = role.npus * app.gang(role)
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
    return None


_SOURCE = "ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235"

RULES = (
    Rule(
        "E024", check_product, _SOURCE,
        bad=(Example("{hardware: atlas-800i-a3, decode: {spBlock: 16}}", "decode.spBlock"),),
        good=(Example("decode: {spBlock: 32}"),),
    ),
    Rule(
        "E025", check_block, _SOURCE,
        bad=(
            Example("decode: {spBlock: 24}", "decode.spBlock"),
            Example("decode: {spBlock: 48}", "decode.spBlock"),
            Example("prefill: {replicas: 1, spBlock: 32}", "prefill.spBlock"),
            Example("decode: {podGroupSize: 64, dataParallel: 1024, spBlock: 1024}", "decode.spBlock"),
        ),
        good=(Example("prefill: {replicas: 2, spBlock: 16}"), Example("decode: {spBlock: 32}")),
    ),
)  # fmt: skip
