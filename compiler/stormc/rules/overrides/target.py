"""An override names an object that the app renders.

A target that matches nothing patches nothing, and the manifest silently lacks what somebody relies on.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for index, override in enumerate(app.overrides):
        if not app.targets(override):
            names = ", ".join(ref.name for ref in app.objects if ref.kind == override.kind)
            target = f"{override.kind}/{override.name}" if override.name else override.kind
            yield Violation(
                ("overrides", index, "target"),
                phrase("overrides[{index}].target {target} is not rendered by this app", index=index, target=target),
                phrase("{kind} objects: {names}", kind=override.kind, names=names)
                if names
                else phrase("the app has no {kind}", kind=override.kind),
            )


RULE = Rule(
    "E048", __doc__, check,
    source="docs/architecture.md, pass overrides",
    bad=(
        Example("""
            overrides:
            - target: Service/other
              reason: a trial
              owner: team-a
              patch:
                spec:
                  type: NodePort
            """, at="overrides[0].target"),
        Example("""
            overrides:
            - target: PodDisruptionBudget
              reason: a trial
              owner: team-a
              patch:
                spec:
                  minAvailable: 2
            """, at="overrides[0].target"),
    ),
    instead=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                spec:
                  type: NodePort
            """),
    ),
    only_when_overridden=True,
)  # fmt: skip
