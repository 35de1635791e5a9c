"""Roles with NPUs are scheduled by Volcano.

Any other scheduler makes no PodGroup: no gang, no choice of NPUs by topology, no fault rescheduling, and
ASCEND_VISIBLE_DEVICES stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import VOLCANO
from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation


def check(finished: Finished) -> Iterator[Violation]:
    for role, template in finished.serving:
        if template.pod.get("schedulerName") != VOLCANO:
            path = finished.wrote_pod(role.name, ("schedulerName",), (role.name,))
            yield Violation(path, f"{role.name} asks for NPUs and is not scheduled by Volcano", "remove the override")


RULE = Rule(
    "E001", __doc__, check,
    source="MindCluster guide, parameter table, schedulerName",
    bad=(
        Example(at="template.spec.schedulerName", role="decode", template="""
            spec:
              schedulerName: default-scheduler
            """),
    ),
    good=(
        Example(),
    ),
    sees=Sees.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
