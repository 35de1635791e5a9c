"""Roles with NPUs are scheduled by Volcano.

Any other scheduler makes no PodGroup: no gang, no choice of NPUs by topology, no fault rescheduling, and
ASCEND_VISIBLE_DEVICES stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import VOLCANO
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        if template.pod.get("schedulerName") != VOLCANO:
            path = service.wrote_pod(role.name, ("schedulerName",), (role.name,))
            yield Violation(
                path,
                phrase("{role} asks for NPUs and is not scheduled by Volcano", role=role.name),
                phrase("remove the override"),
            )


RULE = Rule(
    "E001", __doc__, check,
    source="MindCluster guide, parameter table, schedulerName",
    bad=(
        Example(at="template.spec.schedulerName", role="decode", template="""
            spec:
              schedulerName: default-scheduler
            """),
    ),
    instead=(
        Example("""
            decode:
              queue: default
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
