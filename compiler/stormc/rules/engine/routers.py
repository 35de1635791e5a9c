"""At least one routing pod runs.

Clients reach the engines through the routing pods only. With none the Service has no endpoints, whatever the engines
do.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import ROUTING
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        if template.role == ROUTING and template.entry.get("replicas") == 0:
            yield Violation(
                service.wrote_role(ROUTING, ("replicas",), ("routing", "replicas")),
                phrase("no routing pod runs"),
                phrase("set 1 or more"),
            )


RULE = Rule(
    "E715", __doc__, check,
    source="AIBrix v0.5.0 api/orchestration/v1alpha1 roles[].replicas",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a pause
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: routing
                        replicas: 0
            """, at="overrides[0].patch.spec.template.spec.roles[0].replicas"),
    ),
    instead=(
        Example("""
            routing:
              replicas: 2
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
