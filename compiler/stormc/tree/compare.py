"""How two manifests differ: leaves by path, in which an item of a list is addressed by its merge keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from stormc.facts.kinds import merge_key

LeafPath = tuple[str | tuple[Any, ...], ...]
"""Steps to a value: the key of a mapping, or the values of an item's merge keys as a tuple."""
Leaves = Mapping[LeafPath, Any]


def leaves(kind: str, node: Any, whole: Collection[str] = (), path: LeafPath = ()) -> Iterator[tuple[LeafPath, Any]]:
    """Every leaf of a manifest, or of the part of it at `path`: its path and value.

    A list is one value unless the API server merges its items by keys (facts/kinds.py) and all of them have keys of
    their own. Fields of `whole` are one value each, and of a list among them each item is.
    """
    field = str(path[-1]) if path and isinstance(path[-1], str) else ""
    items = _by_keys(kind, field, node) if isinstance(node, list) else None
    if items is not None:
        for identity, item in items.items():
            if field in whole:
                yield (*path, identity), item
            else:
                yield from leaves(kind, item, whole, (*path, identity))
    elif isinstance(node, Mapping) and node and field not in whole:
        for key, value in node.items():
            yield from leaves(kind, value, whole, (*path, key))
    else:
        yield path, node


def _by_keys(kind: str, field: str, items: list[Any]) -> dict[tuple[Any, ...], dict[str, Any]] | None:
    """The items of a list without their merge keys, by these; None where the list is one value."""
    keys = merge_key(kind, field)
    if not keys or not items or not all(isinstance(item, Mapping) and keys[0] in item for item in items):
        return None
    by_keys = {
        tuple(item.get(key, _DEFAULTS.get(key)) for key in keys): {k: v for k, v in item.items() if k not in keys}
        for item in items
    }
    return by_keys if len(by_keys) == len(items) else None


_DEFAULTS = {"protocol": "TCP"}
"""What the API server writes for a merge key that is left out."""


def differing(before: Leaves, after: Leaves) -> list[LeafPath]:
    """The paths of leaves that only one side has, or that differ; in the order of `before`, then of `after`."""
    return [path for path in {**before, **after} if before.get(path, _ABSENT) != after.get(path, _ABSENT)]


_ABSENT = object()


def beginnings(side: Leaves) -> set[LeafPath]:
    """The paths of all leaves and of everything that contains them."""
    return {path[:length] for path in side for length in range(len(path) + 1)}


def places(paths: Iterable[LeafPath], before: Leaves, after: Leaves) -> list[str]:
    """Paths of leaves as people write them, `containers[decode].image`; a part that one side lacks is one place."""
    shared = beginnings(before) & beginnings(after)
    shortest = (
        next((path[:length] for length in range(1, len(path)) if path[:length] not in shared), path) for path in paths
    )
    return list(dict.fromkeys(map(_written, shortest)))


def _written(path: LeafPath) -> str:
    text = ""
    for step in path:
        if isinstance(step, tuple):
            text += f"[{step[0]}]"
        else:
            text += f".{step}" if text else step
    return text
