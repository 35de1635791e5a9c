"""A role updates by removing pods first.

With maxUnavailable 0 an update waits for NPUs that nobody frees; with maxSurge two pods share an index, and the
Service of one leads to both.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation


def check(finished: Finished) -> Iterator[Violation]:
    for role, template in finished.serving:
        strategy = template.entry.get("updateStrategy") or {}
        for field, wrong in (("maxSurge", bool(strategy.get("maxSurge"))),
                             ("maxUnavailable", strategy.get("maxUnavailable", 1) in (0, "0", "0%"))):  # fmt: skip
            if wrong:
                path = finished.wrote_role(role.name, ("updateStrategy", field), ())
                yield Violation(path, f"{role.name}.updateStrategy.{field} {strategy[field]} needs spare NPUs",
                                "leave maxUnavailable: 1")  # fmt: skip


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
    sees=Sees.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
