"""A variable of the environment has no shell variable and no command in its value.

Nobody expands `$NAME`, `${NAME}` or `$(hostname -i)` in an env entry: the engine gets the literal text, and for
LD_LIBRARY_PATH loses the image's own path to CANN and the driver with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.phrase import NONE, Phrase, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

SHELL = r"(?<!\$)\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))"
COMMAND = r"(?<!\$)\$\((?![A-Za-z_][-._A-Za-z0-9]*\))[^)]+\)?|`[^`]+`"
"""What a shell runs. Kubernetes itself reads $(NAME), about which E058 is."""


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for container, name, entry in template.environment:
            value = str(entry.get("value", ""))
            command = re.search(COMMAND, value) if "$(" in value or "`" in value else None
            match = command or (re.search(SHELL, value) if "$" in value else None)
            if match is None:
                continue
            hint = ADDRESS if command else NONE
            if name in match.groups():
                hint = prepended(name, value, match[0])
            yield Violation(
                service.wrote_env(template.role, container, name),
                phrase("{match} in {name} stays literal", match=match[0], name=name),
                hint or phrase("write the value itself"),
            )


ADDRESS = phrase("write the value itself; a pod's address is {{fieldRef: {{fieldPath: status.podIP}}}}")


def prepended(name: str, value: str, own: str) -> Phrase:
    """The hint for a value that puts texts around the variable's own, such as /opt/lib:$PATH; NONE for any other."""
    others = [part for part in value.split(":") if part and part != own]
    if not others or any("$" in part for part in others):
        return NONE
    return phrase("to put it before the image's own: {name}: {{prepend: {first}}}", name=name, first=":".join(others))


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
        Example("""
            decode:
              env:
                VLLM_HOST_IP: $(hostname -I | awk '{print $1}')
            """, at="decode.env.VLLM_HOST_IP"),
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
