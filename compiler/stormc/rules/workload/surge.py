"""A role updates by removing pods first.

With maxUnavailable 0 an update waits for NPUs that nobody frees; with maxSurge two pods share an index, and the
Service of one leads to both.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        strategy = template.entry.get("updateStrategy") or {}
        for field, wrong in (("maxSurge", bool(strategy.get("maxSurge"))),
                             ("maxUnavailable", strategy.get("maxUnavailable", 1) in (0, "0", "0%"))):  # fmt: skip
            if wrong:
                path = service.wrote_role(role.name, ("updateStrategy", field), ())
                yield Violation(
                    path,
                    phrase(
                        "{role}.updateStrategy.{field} {strategy} needs spare NPUs",
                        role=role.name,
                        field=field,
                        strategy=strategy[field],
                    ),
                    phrase("keep maxUnavailable: 1"),
                )


RULE = Rule(
    "E069", __doc__, check,
    source="AIBrix v0.5.0 roleset/rolling.go, constants/stormservice.go",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: decode
                        updateStrategy:
                          maxSurge: 1
            """, at="overrides[0].patch.spec.template.spec.roles[0].updateStrategy.maxSurge"),
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: decode
                        updateStrategy:
                          maxUnavailable: 0%
            """, at="overrides[0].patch.spec.template.spec.roles[0].updateStrategy.maxUnavailable"),
    ),
    instead=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: decode
                        updateStrategy:
                          maxUnavailable: 2
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
