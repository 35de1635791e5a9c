"""Retries need fault scheduling.

With fault-scheduling off or absent Volcano skips the job before it looks at fault-retry-times.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.faults import asks_for_retries
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        if asks_for_retries(template) and template.labels.get(Label.FAULT_SCHEDULING, "off") == "off":
            path = service.wrote_key(role.name, "labels", Label.FAULT_RETRY_TIMES)
            yield Violation(
                path,
                phrase("{role} has fault-retry-times and no fault-scheduling", role=role.name),
                phrase("set faults.scheduling: force or grace, or remove the label"),
            )


RULE = Rule(
    "W014", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/reschedule.go:101-114",
    bad=(
        Example("""
            faults:
              scheduling: 'off'
            """, at="template.metadata.labels.fault-retry-times", role="decode", template="""
            metadata:
              labels:
                fault-retry-times: '3'
            spec:
              restartPolicy: Never
            """),
    ),
    instead=(
        Example("""
            faults:
              scheduling: force
              retries: 3
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
