"""fault-scheduling is grace, force or off.

Volcano does not react to faults at all for another value. external-grace and external-force leave the work to
MindCluster's infer-operator, which does not look at a StormService.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import FAULT_SCHEDULING_VALUES, Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        value = template.labels.get(Label.FAULT_SCHEDULING, "off")
        if value not in FAULT_SCHEDULING_VALUES:
            path = service.wrote_key(role.name, "labels", Label.FAULT_SCHEDULING, ("faults", "scheduling"))
            yield Violation(
                path,
                phrase("fault-scheduling {value} switches fault recovery off", value=value),
                phrase("use grace, force or off"),
            )


RULE = Rule(
    "E008", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:714-732",
    bad=(
        Example(at="template.metadata.labels.fault-scheduling", role="decode", template="""
            metadata:
              labels:
                fault-scheduling: external-force
            """),
    ),
    instead=(
        Example("""
            faults:
              scheduling: 'off'
            """),
    ),
    good=(
        Example("""
            faults:
              scheduling: grace
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
