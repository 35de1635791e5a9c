"""minAvailable is a number from 1 to the pods of the PodGroup, the same in all roles that share it.

Above the number of pods the PodGroup is Pending for ever; without a number there is no gang. Where a PodGroup has two
values, that of an arbitrary pod counts, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.scheduling import gang_of, gang_place
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    first: tuple[str, int] | None = None
    for role, template in service.serving:
        pods, gang = service.app.gang(role), gang_of(role, template)
        if gang is None:
            value = template.annotations.get(Annotation.SCHEDULE_MIN_AVAILABLE, "")
            message = phrase(
                "{role}: {schedule_min_available} {value!r} is not a number above 0",
                role=role.name, schedule_min_available=Annotation.SCHEDULE_MIN_AVAILABLE, value=value,
            )  # fmt: skip
            yield Violation(gang_place(service, role), message, phrase("set {pods}", pods=pods))
        elif gang > pods:
            message = phrase(
                "{role}.minAvailable {gang} exceeds the {pods} pods of its PodGroup",
                role=role.name, gang=gang, pods=pods,
            )  # fmt: skip
            yield Violation(gang_place(service, role), message, phrase("at most {pods}", pods=pods))
        elif role.shares_pod_group:
            first = first or (role.name, gang)
            if gang != first[1]:
                yield Violation(
                    gang_place(service, role),
                    phrase(
                        "{role}.minAvailable {gang} differs from the {number} of {other}, which shares its PodGroup",
                        role=role.name,
                        gang=gang,
                        number=first[1],
                        other=first[0],
                    ),
                    phrase("write minAvailable: {gang} in {other} too, or in neither", gang=gang, other=first[0]),
                )


RULE = Rule(
    "E005", __doc__, check,
    source="ascend-for-volcano plugin/job.go:212-235, 547-571, 694-711",
    bad=(
        Example("""
            decode:
              minAvailable: 3
            """, at="decode.minAvailable"),
        Example("""
            prefill:
              minAvailable: 2
            decode:
              podGroupSize: 1
              dataParallel: 16
              minAvailable: 3
            """, at="decode.minAvailable"),
        Example(at="template.metadata.annotations.huawei.com/schedule_minAvailable", role="decode", template="""
            metadata:
              annotations:
                huawei.com/schedule_minAvailable: '0'
            """),
        Example(at="template.metadata.annotations.huawei.com/schedule_minAvailable", role="prefill", template="""
            metadata:
              annotations:
                huawei.com/schedule_minAvailable: null
            """),
    ),
    instead=(
        Example("""
            decode:
              minAvailable: 2
            """),
    ),
    good=(
        Example("""
            prefill:
              minAvailable: 1
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
