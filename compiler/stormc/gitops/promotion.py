"""What moves from one environment's app to another's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.finding import Path
from stormc.model.proxy_fields import PROXY
from stormc.text.edit import ABSENT, Change

TUNABLE: tuple[Path, ...] = (
    ("image",),
    ("expertParallel",),
    ("kvTransfer", "connector"),
    ("engine",),
    *((role, field) for role in SERVING_ROLES for field in ("image", "engineArgs", "env")),
    ("routing", "image"),
    ("routing", "env"),
    *(("proxy", field) for field in PROXY if field not in ("port", "source")),
)
"""The software and how it is set up: what one environment tries out for the next. Everything else belongs to where an
app runs: its name, hardware, size and parallel layout, storage, scheduling, ports, and what it does about faults."""


def changes(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[Change]:
    """How the target's tunable fields become the source's; both with the defaults of their platform files."""
    old, new = dict(_fields(target)), dict(_fields(source))
    return [Change(path, new.get(path, ABSENT)) for path in {**new, **old} if new.get(path) != old.get(path)]


def _fields(data: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The tunable fields that are set; a mapping counts key by key, so that its other keys stay as they are."""
    for path in TUNABLE:
        value = _at(data, path)
        if isinstance(value, dict):
            yield from (((*path, key), item) for key, item in value.items())
        elif value is not None:
            yield path, value


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
