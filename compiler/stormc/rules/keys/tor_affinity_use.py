"""tor-affinity is for training on Atlas A2.

It needs the ConfigMap basic-tor-node-cm in the cluster; without it every job with this label stays Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.rules.finished import Finished
from stormc.rules.keys import tor_affinities
from stormc.rules.rule import Example, Rule, Sees, Violation


def check(finished: Finished) -> Iterator[Violation]:
    for template, value in tor_affinities(finished):
        if value in ("large-model-schema", "normal-schema"):
            path = finished.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(path, "tor-affinity is for training jobs", "remove it", at_key=True)


RULE = Rule(
    "W031", __doc__, check,
    source="ascend-for-volcano internal/nslb/frame.go:32-95",
    bad=(
        Example("""
            decode:
              labels:
                tor-affinity: normal-schema
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
