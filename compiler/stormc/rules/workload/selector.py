"""The selector is the app's own, and the template carries it.

AIBrix matches selectors in all namespaces at once: two StormServices with equal ones count, roll and delete each
other's RoleSets. One that does not match its own template creates RoleSets without end.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    spec = service.manifest["spec"]
    labels_of_app = {Label.STORMC_APP: service.app.identity}
    if spec.get("selector") != {"matchLabels": labels_of_app}:
        path = service.wrote(("spec", "selector", "matchLabels", Label.STORMC_APP), ("overrides",))
        yield Violation(path, phrase("the selector is not the app's own"), phrase("leave the selector as it is"))
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not labels_of_app.items() <= labels.items():
        path = service.wrote(("spec", "template", "metadata", "labels", Label.STORMC_APP), ("overrides",))
        yield Violation(
            path, phrase("the template lacks the label that the selector asks for"), phrase("leave it as it is")
        )


RULE = Rule(
    "E054", __doc__, check,
    source="AIBrix v0.5.0 stormservice/rolesetoperations.go:35-49, issue 2779",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  selector:
                    matchLabels:
                      stormc.dev/app: shared
            """, at="overrides[0].patch.spec.selector.matchLabels.stormc.dev/app"),
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    metadata:
                      labels:
                        stormc.dev/app: other
            """, at="overrides[0].patch.spec.template.metadata.labels.stormc.dev/app"),
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
                    metadata:
                      labels:
                        a: b
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
