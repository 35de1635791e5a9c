"""ra-block is a power of two up to 64 and up to sp-block, on Atlas 950 SuperPoD.

Only its handler reads the annotation, in nodes of 8. It leaves the pods Pending for any other number, and where
the nodes of sp-block (without one, all of the PodGroup) are no multiple of those of ra-block.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation
from stormc.facts.scheduling import RACK_POLICY
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    profile = service.app.profile
    for role, template in service.serving:
        value = template.annotations.get(Annotation.RA_BLOCK)
        if value is None:
            continue
        path = service.wrote_key(role.name, "annotations", Annotation.RA_BLOCK)
        number = int(value) if value.isascii() and value.isdigit() else 0
        if profile.schedule_policy != RACK_POLICY:
            yield Violation(
                path,
                phrase("{profile} has no racks for ra-block", profile=profile.name),
                phrase("remove it"),
                at_key=True,
            )
        elif number not in (1, 2, 4, 8, 16, 32, 64):
            yield Violation(
                path,
                phrase("ra-block {value} is not a power of two from 1 to 64", value=value),
                phrase("write a power of two from 1 to 64; the default is 8"),
            )
        else:
            block = role.sp_block or service.app.gang(role) * role.npus
            if -(-block // profile.npus) % -(-number // profile.npus):
                yield Violation(
                    path,
                    phrase(
                        "ra-block {value} does not divide the {block} NPUs of a logical super pod",
                        value=value,
                        block=block,
                    ),
                    phrase("choose a divisor of spBlock, or raise spBlock"),
                )


RULE = Rule(
    "E028", __doc__, check,
    source="ascend-for-volcano policy/chip8node8ra64sp/job.go:35-240",
    bad=(
        Example("""
            hardware: atlas-950-superpod
            prefill:
              replicas: 1
              dataParallel: 8
              tensorParallel: 1
              annotations:
                ra-block: '3'
            decode:
              dataParallel: 16
            """, at="prefill.annotations.ra-block", platform="mindcluster: '26.0'"),
        Example("""
            hardware: atlas-950-superpod
            prefill:
              replicas: 1
              dataParallel: 8
              tensorParallel: 1
              spBlock: 8
              annotations:
                ra-block: '16'
            decode:
              dataParallel: 16
            """, at="prefill.annotations.ra-block", platform="mindcluster: '26.0'"),
        Example("""
            hardware: atlas-950-superpod
            prefill:
              replicas: 1
              dataParallel: 8
              tensorParallel: 1
              annotations:
                ra-block: '16'
            decode:
              dataParallel: 16
            """, at="prefill.annotations.ra-block", platform="mindcluster: '26.0'"),
        Example("""
            decode:
              annotations:
                ra-block: '8'
            """, at="decode.annotations.ra-block"),
    ),
    instead=(
        Example("""
            hardware: atlas-950-superpod
            prefill:
              replicas: 1
              dataParallel: 8
              tensorParallel: 1
              annotations:
                ra-block: '8'
            decode:
              dataParallel: 16
            """, platform="mindcluster: '26.0'"),
    ),
    good=(
        Example("""
            hardware: atlas-950-superpod
            prefill:
              replicas: 1
              dataParallel: 8
              tensorParallel: 1
            decode:
              dataParallel: 16
              annotations:
                ra-block: '16'
            """, platform="mindcluster: '26.0'"),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
