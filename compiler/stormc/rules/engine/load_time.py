"""A pod may load the model for as long as it was seen to take.

engine.loadMinutes is what was measured, engine.startupSeconds is when the startup probe gives up. With less time than
loading takes, the kubelet kills every engine shortly before it would answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    measured = app.engine.load_minutes
    if measured is not None and measured * 60 > app.engine.startup_seconds:
        message = phrase(
            "engine.loadMinutes is {measured}, the startup probe gives up after {startup_seconds} seconds",
            measured=measured,
            startup_seconds=app.engine.startup_seconds,
        )
        yield Violation(
            ("engine", "loadMinutes"),
            message,
            phrase("set engine.startupSeconds to {measured}", measured=measured * 90),
        )


RULE = Rule(
    "E732", __doc__, check,
    source="Kubernetes core/v1 Probe; docs/spec.md engine.startupSeconds",
    bad=(
        Example("""
            engine:
              loadMinutes: 45
            """, at="engine.loadMinutes"),
    ),
    instead=(
        Example("""
            engine:
              loadMinutes: 45
              startupSeconds: 4050
            """),
    ),
)  # fmt: skip
