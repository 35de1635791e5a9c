"""The labels `app` and `jobID` do not stand together, and `app` is no MindIE name.

The two labels switch the scheduler to the placement of MindIE services; `app: mindie-ms-…` switches every fault to
pod-only rescheduling.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        app = template.labels.get("app", "")
        if "app" in template.labels and Label.JOB in template.labels:
            path = service.wrote_key(template.role, "labels", Label.JOB)
            yield Violation(
                path,
                phrase("labels app and jobID together select MindIE's placement"),
                phrase("rename one"),
                at_key=True,
            )
        elif app.startswith("mindie-ms-"):
            path = service.wrote_key(template.role, "labels", "app")
            yield Violation(
                path, phrase("label app {app} selects MindIE's fault handling", app=app), phrase("choose another value")
            )


RULE = Rule(
    "E035", __doc__, check,
    source="ascend-for-volcano superpod/mindie_job.go:40-53, internal/rescheduling/job.go:919-928",
    bad=(
        Example("""
            decode:
              labels:
                app: a
                jobID: b
            """, at="decode.labels.jobID"),
        Example("""
            decode:
              labels:
                app: mindie-ms-controller
            """, at="decode.labels.app"),
    ),
    instead=(
        Example("""
            decode:
              labels:
                app: qwen
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
