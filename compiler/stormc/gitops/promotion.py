"""Which fields of an app are promoted from one environment to another."""

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
    ("engine", "args"),
    ("engine", "env"),
    *((role, field) for role in SERVING_ROLES for field in ("image", "engineArgs", "env")),
    ("routing", "image"),
    ("routing", "env"),
    *(("proxy", field) for field in PROXY if field not in ("port", "source")),
)
"""The software and its settings, which one environment tries out for the next. Everything else depends on where an app
runs: its name, hardware, size and parallel layout, storage, scheduling, ports, and what it does about faults."""


EXCLUSIVE: tuple[Path, ...] = (("engine", "command"), ("engine", "script"))
"""Ways to start an engine, of which a spec has one: the source's replaces the target's."""


def changes(source: Mapping[str, Any], target: Mapping[str, Any], *, exact: bool = False) -> list[Change]:
    """The changes that give the target the source's tunable fields; both with the defaults of their platform files.

    Fields that only the target has stay, except with `exact`, and except one that excludes a field of the source.
    """
    old, new = dict(_fields(target)), dict(_fields(source))
    staying = () if exact else set(only_in_target(source, target))
    paths = [path for path in {**new, **old} if path not in staying]
    return [Change(path, new.get(path, ABSENT)) for path in paths if new.get(path) != old.get(path)]


def only_in_target(source: Mapping[str, Any], target: Mapping[str, Any]) -> list[Path]:
    """The tunable fields that a promotion leaves as they are, because the source does not have them."""
    new = dict(_fields(source))
    comes_in = any(path in new for path in EXCLUSIVE)
    return [path for path, _ in _fields(target) if path not in new and not (comes_in and path in EXCLUSIVE)]


def _fields(data: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The tunable fields that are set; a mapping counts key by key, so that its other keys stay as they are."""
    for path in TUNABLE:
        value = _at(data, path)
        if isinstance(value, dict):
            yield from (((*path, key), item) for key, item in value.items() if (*path, key) not in TUNABLE)
        elif value is not None:
            yield path, value


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
