"""subHealthyStrategy is ignore, graceExit or forceExit.

Volcano takes any other value for ignore, without a word. hotSwitch needs the backup pods of Ascend Operator's
training jobs and never fires on a StormService.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import SUB_HEALTHY_VALUES, Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        value = template.labels.get(Label.SUB_HEALTHY_STRATEGY, "ignore")
        if value not in SUB_HEALTHY_VALUES:
            path = service.wrote_key(role.name, "labels", Label.SUB_HEALTHY_STRATEGY, ("faults", "subHealthy"))
            yield Violation(
                path,
                phrase("subHealthyStrategy {value} is taken for ignore", value=value),
                phrase("use {sub_healthy_values}", sub_healthy_values=", ".join(SUB_HEALTHY_VALUES)),
            )


RULE = Rule(
    "E016", __doc__, check,
    source="ascend-for-volcano plugin/job.go:607-615, internal/rescheduling/reschedule.go:892-897",
    bad=(
        Example(at="template.metadata.labels.subHealthyStrategy", role="decode", template="""
            metadata:
              labels:
                subHealthyStrategy: hotSwitch
            """),
    ),
    instead=(
        Example("""
            faults:
              subHealthy: graceExit
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
