"""What a pass yields: an object, a path in it, a value, and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App, Ref
from stormc.model.role import Reference
from stormc.passes.because import Reason
from stormc.record import NamedTuple
from stormc.targets.programs import PREPEND
from stormc.targets.storm_service import Item, Step, container_path


class Edit(NamedTuple):
    """Sets one field of one object."""

    object: Ref
    path: tuple[Step, ...]
    value: Any
    because: Reason


class Removed:
    """The value of an edit that removes a field; only a pass that rewrites may yield it."""

    def __repr__(self) -> str:
        return "REMOVED"


REMOVED = Removed()

ARGUMENTS = "args"
"""A list of texts: passes write each argument by its key, `("args", ("--port",))`; overrides replace it as a whole."""


def storm(app: App) -> Ref:
    """The StormService of an app."""
    return app.storm_service


def router_path(*steps: Step) -> tuple[Step, ...]:
    """A path inside the container of the routing pods."""
    return container_path(ROUTING, ROUTER, *steps)


def argument_keys(words: Sequence[str]) -> list[Item]:
    """What tells the arguments of a command line apart: the flag, and for its further words their number."""
    keys: list[Item] = []
    count: dict[str, int] = {}
    flag = ""
    for word in words:
        if word.startswith("--"):
            flag = "=".join(word.split("=")[:2]) if word.startswith(PREPEND) else word.partition("=")[0]
        number = count.get(flag, 0)
        count[flag] = number + 1
        keys.append((flag, number) if number else (flag,))
    return keys


def env_entry(name: str, value: str | Reference) -> dict[str, Any]:
    """An env entry; an empty literal is left out, as Go leaves it out when it writes back."""
    if isinstance(value, Reference):
        return {"name": name, "valueFrom": dict(value.source)}
    return {"name": name, "value": value} if value else {"name": name}
