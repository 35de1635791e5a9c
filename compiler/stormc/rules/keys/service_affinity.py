"""inferserviceid is for super-pod products.

Only the -sp handlers read it, to place the pods of a service in one super pod; elsewhere it has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if service.app.profile.super_pod:
        return
    for template in service.templates:
        if Label.INFER_SERVICE in template.labels:
            path = service.wrote_key(template.role, "labels", Label.INFER_SERVICE)
            yield Violation(path, f"inferserviceid has no effect on {service.app.profile.name}", "remove it",
                            at_key=True)  # fmt: skip


RULE = Rule(
    "W045", __doc__, check,
    source="MindCluster docs 01_affinity_scheduling/06_infer_affinity_scheduling.md",
    bad=(
        Example("""
            hardware: atlas-800i-a3
            prefill:
              tensorParallel: 8
              labels:
                inferserviceid: a
            """, at="prefill.labels.inferserviceid"),
    ),
    good=(
        Example("""
            prefill:
              labels:
                inferserviceid: a
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
