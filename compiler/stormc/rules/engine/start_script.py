"""A start script returns the exit code of the engine.

The k8s-deploy-tool's start_server.sh ends with 0 when a rank dies: the pod counts as succeeded, Volcano sees no
fault and nothing is restarted.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    script, command = app.engine.script, app.engine.command or ()
    path: Path = ("engine", "script", "command") if script else ("engine", "command")
    if any("start_server.sh" in word for word in ([script.command] if script else command)):
        yield Violation(
            path,
            phrase("start_server.sh hides the exit code of a rank that died"),
            phrase("leave engine.{path} out: stormc's launcher returns it", path=path[1]),
        )


RULE = Rule(
    "W043", __doc__, check,
    source="k8s-deploy-tool example/scripts/start_server.sh",
    bad=(
        Example("""
            engine:
              script:
                hostPath: /scripts
                command: bash start_server.sh
            """, at="engine.script.command"),
        Example("""
            engine:
              command:
              - bash
              - /scripts/start_server.sh
            """, at="engine.command"),
    ),
    instead=(
        Example("""
            engine:
              script:
                hostPath: /scripts
                command: exec ./serve
            """),
    ),
)  # fmt: skip
