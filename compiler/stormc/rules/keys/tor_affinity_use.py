"""tor-affinity is for training on Atlas A2.

It needs the ConfigMap basic-tor-node-cm in the cluster; without it every job with this label stays Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import TOR_AFFINITY_TRAINING, Label
from stormc.phrase import phrase
from stormc.rules.keys import tor_affinities
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, value in tor_affinities(service):
        if value in TOR_AFFINITY_TRAINING:
            path = service.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(path, phrase("tor-affinity is for training jobs"), phrase("remove it"), at_key=True)


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
    subject=Subject.MANIFESTS,
)  # fmt: skip
