"""The escape hatch: what the spec cannot say, patched last, with an owner and a reason.

A patch merges as `kubectl patch --type strategic` does: mappings key by key, lists of named items by their merge key,
other lists as a whole, and null removes a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.kinds import merge_key
from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.model.quantity import canonical
from stormc.passes.because import Because
from stormc.passes.edit import REMOVED, Edit
from stormc.targets.storm_service import Step

DIRECTIVE = "$patch"
"""The key by which a strategic merge patch deletes or replaces a mapping (kubectl patch --type strategic)."""
AMOUNTS = frozenset({"limits", "requests", "overhead", "minResources"})
"""Mappings whose values are quantities."""
QUANTITIES = frozenset({"sizeLimit", "divisor"})
"""Fields that are quantities themselves (k8s.io/api core/v1 types.go, AIBrix v0.5.0 api/orchestration/v1alpha1)."""


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """One edit per field of every patch, on every object that the override's target names."""
    for index, override in enumerate(app.overrides):
        source, target = f"{override.reason} ({override.owner})", ("overrides", index, "target")
        for ref in app.targets(override):
            for path, value, typed in _fields(ref.kind, (), override.patch, ("overrides", index, "patch")):
                yield Edit(ref, path, value, Because((typed,), "", source, (target,)))


def _fields(
    kind: str, path: tuple[Step, ...], patch: Mapping[str, Any], typed: Path
) -> Iterator[tuple[tuple[Step, ...], Any, Path]]:
    """Where each value of the patch goes, the value, and where it stands in the spec."""
    for key, value in patch.items():
        where, at = (*path, key), (*typed, key)
        keys = merge_key(kind, key) if isinstance(value, list) else None
        if value is None:
            yield where, REMOVED, at
        elif isinstance(value, dict) and value:
            yield from _mapping(kind, where, value, at)
        elif keys and all(_has(item, keys) for item in value):
            for index, item in enumerate(value):
                yield from _mapping(kind, (*where, tuple(item[k] for k in keys)), item, (*at, index))
        else:
            yield where, _quantity(where, value), at


def _mapping(
    kind: str, path: tuple[Step, ...], value: Mapping[str, Any], typed: Path
) -> Iterator[tuple[tuple[Step, ...], Any, Path]]:
    """A mapping of a patch: `$patch: delete` takes away what stands there, `$patch: replace` all of it but its own."""
    directive = value.get(DIRECTIVE)
    if directive not in ("delete", "replace"):
        yield from _fields(kind, path, value, typed)
        return
    yield path, REMOVED, typed
    if directive == "replace":
        yield from _fields(kind, path, {k: v for k, v in value.items() if k != DIRECTIVE}, typed)


def _has(item: Any, keys: tuple[str, ...]) -> bool:
    return isinstance(item, dict) and all(isinstance(item.get(key), (str, int)) for key in keys)


def _quantity(path: tuple[Step, ...], value: Any) -> Any:
    """The value with canonical quantities. A text that is not a quantity stays; the schema check reports it."""
    if isinstance(value, dict):
        return {key: _quantity((*path, key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quantity(path, item) for item in value]
    if (AMOUNTS.intersection(path[-2:-1]) or QUANTITIES.intersection(path[-1:])) and isinstance(value, (str, int)):
        try:
            return canonical(value)
        except ValueError:
            return value
    return value
