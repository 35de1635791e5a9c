"""tor-affinity has one of its three values.

Volcano's NSLB handler refuses the job for any other value, and the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import TOR_AFFINITY_VALUES, Label
from stormc.phrase import phrase
from stormc.rules.keys import tor_affinities
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, value in tor_affinities(service):
        if value not in TOR_AFFINITY_VALUES:
            path = service.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(
                path,
                phrase(
                    "tor-affinity {value} is not one of {tor_affinity}",
                    value=value,
                    tor_affinity=", ".join(TOR_AFFINITY_VALUES),
                ),
                phrase("remove it"),
            )


RULE = Rule(
    "E031", __doc__, check,
    source="ascend-for-volcano internal/nslb/frame.go:32-95",
    bad=(
        Example("""
            decode:
              labels:
                tor-affinity: large
            """, at="decode.labels.tor-affinity"),
    ),
    instead=(
        Example("""
            decode:
              labels:
                tor-affinity: 'null'
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
