"""With graceful fault scheduling, pods have 1 to 899 seconds to stop.

Volcano force-deletes after grace-over-time, 900 seconds; until then every pod of the PodGroup waits for the one
that is terminating.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.facts.keys import Label
from stormc.facts.pods import GRACE_SECONDS
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        seconds = template.pod.get("terminationGracePeriodSeconds", GRACE_SECONDS)
        graceful = template.labels.get(Label.FAULT_SCHEDULING) == "grace"
        if graceful and not 1 <= seconds <= limits.GRACE_SECONDS_MAX:
            path = service.wrote_pod(role.name, ("terminationGracePeriodSeconds",), ("faults", "gracePeriodSeconds"))
            yield Violation(
                path,
                phrase(
                    "terminationGracePeriodSeconds {seconds} is outside 1…{grace_seconds_max}",
                    seconds=seconds,
                    grace_seconds_max=limits.GRACE_SECONDS_MAX,
                ),
                phrase("set faults.gracePeriodSeconds"),
            )


RULE = Rule(
    "E017", __doc__, check,
    source="MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano plugin/factory.go:1012-1037",
    bad=(
        Example("""
            faults:
              scheduling: grace
            """, at="template.spec.terminationGracePeriodSeconds", role="decode", template="""
            spec:
              terminationGracePeriodSeconds: 900
            """),
    ),
    instead=(
        Example("""
            faults:
              scheduling: grace
              gracePeriodSeconds: 899
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              terminationGracePeriodSeconds: 900
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
