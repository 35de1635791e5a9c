"""gracePeriodSeconds needs scheduling grace.

With force Volcano deletes with a grace of 0, with off it deletes nothing; stormc leaves the field out.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if app.faults.grace_period_seconds and app.faults.scheduling != "grace":
        yield Violation(
            ("faults", "gracePeriodSeconds"),
            phrase("gracePeriodSeconds has no effect with scheduling {scheduling}", scheduling=app.faults.scheduling),
            phrase("set scheduling: grace, or remove it"),
        )


RULE = Rule(
    "W017", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:483-489",
    bad=(
        Example("""
            faults:
              gracePeriodSeconds: 60
            """, at="faults.gracePeriodSeconds"),
    ),
    instead=(
        Example("""
            faults:
              scheduling: grace
              gracePeriodSeconds: 60
            """),
    ),
)  # fmt: skip
