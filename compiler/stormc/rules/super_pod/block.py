"""spBlock fits the node, the super pod and the NPUs of its PodGroup.

A logical super pod is made of whole nodes inside one physical super pod, and a PodGroup, as well as its
minAvailable, of whole logical super pods. Volcano checks all of it and leaves the PodGroup Pending otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import Role
from stormc.phrase import Phrase, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.super_pod import blocks


def check(service: StormService) -> Iterator[Violation]:
    if not service.app.profile.super_pod:
        return
    for role, value, path in blocks(service):
        block = int(value) if value.isascii() and value.isdigit() else 0
        problem = _block_problem(service, role, block)
        if problem:
            yield Violation(
                path,
                phrase("{role}.spBlock {value} {problem}", role=role.name, value=value, problem=problem[0]),
                problem[1],
            )


def _block_problem(service: StormService, role: Role, block: int) -> tuple[Phrase, Phrase] | None:
    app, platform = service.app, service.platform
    node, total = app.profile.npus, role.npus * app.gang(role)
    if block < 1:
        return phrase("is not a number above 0"), phrase("set a multiple of {node}", node=node)
    if app.gang(role) == 1:
        return (
            None
            if block == role.npus
            else (
                phrase("differs from the {npus} NPUs of its only pod", npus=role.npus),
                phrase("set {npus}", npus=role.npus),
            )
        )
    if block % node:
        return phrase("is not a multiple of the {node} NPUs of a node", node=node), phrase(
            "set a multiple of {node}", node=node
        )
    if block > platform.super_pod_size * node:
        most = platform.super_pod_size * node
        return phrase(
            "exceeds a super pod, superPodSize {super_pod_size}", super_pod_size=platform.super_pod_size
        ), phrase("at most {most}", most=most)
    if total % block:
        return (
            phrase("does not divide the {total} NPUs of its PodGroup", total=total),
            phrase("set a divisor of {total} that is a multiple of {node}", total=total, node=node),
        )
    least = role.npus * min(role.min_available or app.gang(role), app.gang(role))
    if least % block:
        return phrase(
            "does not divide the {least} NPUs of minAvailable {min_available}",
            least=least,
            min_available=role.min_available,
        ), phrase("remove minAvailable")
    return None


RULE = Rule(
    "E025", __doc__, check,
    source="ascend-for-volcano npu/ascend910/ascend910a3/superpod/frame.go:55-156, npu/factory.go:232-235",
    bad=(
        Example("""
            decode:
              spBlock: 24
            """, at="decode.spBlock"),
        Example("""
            decode:
              spBlock: 48
            """, at="decode.spBlock"),
        Example("""
            prefill:
              replicas: 1
              spBlock: 32
            """, at="prefill.spBlock"),
        Example("""
            decode:
              podGroupSize: 4
              dataParallel: 64
              spBlock: 32
              minAvailable: 3
            """, at="decode.spBlock"),
        Example("""
            decode:
              podGroupSize: 64
              dataParallel: 1024
              spBlock: 1024
            """, at="decode.spBlock"),
        Example(at="template.metadata.annotations.sp-block", role="decode", template="""
            metadata:
              annotations:
                sp-block: all
            """),
    ),
    instead=(
        Example("""
            prefill:
              replicas: 2
              spBlock: 16
            """),
    ),
    good=(
        Example("""
            decode:
              spBlock: 32
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
