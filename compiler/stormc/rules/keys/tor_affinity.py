"""tor-affinity has one of its three values.

Volcano's NSLB handler refuses the job for any other value, and the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.rules.finished import Finished
from stormc.rules.keys import tor_affinities
from stormc.rules.rule import Example, Rule, Sees, Violation

TOR_AFFINITY = ("large-model-schema", "normal-schema", "null")


def check(finished: Finished) -> Iterator[Violation]:
    for template, value in tor_affinities(finished):
        if value not in TOR_AFFINITY:
            path = finished.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(path, f"tor-affinity {value} is not one of {', '.join(TOR_AFFINITY)}", "remove it")


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
    sees=Sees.MANIFESTS,
)  # fmt: skip
