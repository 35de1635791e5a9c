"""A variable of the environment has no shell variable in its value.

Nobody expands `$NAME` or `${NAME}` in an env entry: the engine gets the literal text, and for LD_LIBRARY_PATH loses
the image's own path to CANN and the driver with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, environment

SHELL = re.compile(r"(?<!\$)\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for container, name, entry in environment(template):
            value = str(entry.get("value", ""))
            match = SHELL.search(value)
            if match is None:
                continue
            others = [part for part in value.split(":") if part and part != match[0]]
            appended = name in match.groups() and others and not any("$" in part for part in others)
            first = ":".join(others)
            hint = (
                phrase("to put it before the image's own: {name}: {{prepend: {first}}}", name=name, first=first)
                if appended
                else phrase("write the value itself")
            )
            yield Violation(
                service.wrote_env(template.role, container, name),
                phrase("{match} in {name} stays literal", match=match[0], name=name),
                hint,
            )


RULE = Rule(
    "W720", __doc__, check,
    source="Kubernetes core/v1 EnvVar: only $(NAME) is expanded; vllm-ascend issue 6949",
    bad=(
        Example("""
            decode:
              env:
                LD_LIBRARY_PATH: /opt/lib:$LD_LIBRARY_PATH
            """, at="decode.env.LD_LIBRARY_PATH"),
        Example("""
            engine:
              env:
                PATH_OF_LOGS: ${HOME}/logs
            """, at="engine.env.PATH_OF_LOGS"),
    ),
    instead=(
        Example("""
            decode:
              env:
                LD_LIBRARY_PATH:
                  prepend: /opt/lib
                PRICE: $$5
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
