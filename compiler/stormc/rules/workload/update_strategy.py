"""updateStrategy is InPlaceUpdate.

RollingUpdate, AIBrix's default, replaces the whole RoleSet for any change of the template, a role's replicas
included: with one RoleSet that is an outage of half an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if (service.manifest["spec"].get("updateStrategy") or {}).get("type") != "InPlaceUpdate":
        path = service.wrote(("spec", "updateStrategy", "type"), ("overrides",))
        yield Violation(
            path, phrase("updateStrategy replaces all pods for any change"), phrase("keep type: InPlaceUpdate")
        )


RULE = Rule(
    "W055", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/stormservice/sync.go:254-336",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  updateStrategy:
                    type: RollingUpdate
            """, at="overrides[0].patch.spec.updateStrategy.type"),
    ),
    instead=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  updateStrategy:
                    maxUnavailable: 1
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
