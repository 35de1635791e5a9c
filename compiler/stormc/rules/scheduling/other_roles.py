"""Roles other than prefill and decode are not scheduled by Volcano.

Their pods would join the PodGroup of the roles of podGroupSize 1: each counts as a member, fails the NPU check on
A3, and if it comes first, the PodGroup counts as one without NPUs and no pod gets any.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import VOLCANO
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    serving = {role.name for role, _ in service.serving}
    for template in service.templates:
        if template.role not in serving and template.pod.get("schedulerName") == VOLCANO:
            path = service.wrote_pod(template.role, ("schedulerName",), (template.role,))
            yield Violation(
                path,
                phrase("{role} is scheduled by Volcano, which is for prefill and decode", role=template.role),
                phrase("remove schedulerName"),
            )


RULE = Rule(
    "E002", __doc__, check,
    source="volcano pkg/controllers/podgroup/pg_controller_handler.go:301-328",
    bad=(
        Example(at="template.spec.schedulerName", role="routing", template="""
            spec:
              schedulerName: volcano
            """),
    ),
    instead=(
        Example(role="routing", template="""
            spec:
              schedulerName: default-scheduler
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
