"""fault-retry-times is a whole number from 0 to 100.

Anything else counts as 0, and a crashed process is never rescheduled; a negative number is a spent budget.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        value = template.labels.get(Label.FAULT_RETRY_TIMES)
        if value is not None and not (value.isascii() and value.isdigit() and int(value) <= limits.RETRIES_MAX):
            path = service.wrote_key(role.name, "labels", Label.FAULT_RETRY_TIMES, ("faults", "retries"))
            yield Violation(
                path,
                phrase(
                    "fault-retry-times {value} is not a number from 0 to {retries_max}",
                    value=value,
                    retries_max=limits.RETRIES_MAX,
                ),
                phrase("use faults.retries"),
            )


RULE = Rule(
    "E011", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:613-627, 932-947; MindCluster docs 01_volcano.md, table 1",
    bad=(
        Example(at="template.metadata.labels.fault-retry-times", role="decode", template="""
            metadata:
              labels:
                fault-retry-times: many
            """),
        Example(at="template.metadata.labels.fault-retry-times", role="decode", template="""
            metadata:
              labels:
                fault-retry-times: '101'
            """),
    ),
    instead=(
        Example("""
            faults:
              retries: 100
            """),
    ),
    good=(
        Example("""
            faults:
              retries: 0
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
