"""The shape of a StormService: what every later step of an import may rely on.

The shipped schema says which places hold mappings, lists, strings and numbers; it comes from the CRD and Kubernetes'
own types. A file may say things that the schema does not know, at unknown keys, and may say less than it demands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from stormc.facts.kinds import merge_key
from stormc.finding import Path, dotted, shown
from stormc.migrate.note import LACKING, Note
from stormc.phrase import phrase

Schema = Mapping[str, Any]

_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "boolean": (bool,),
}  # fmt: skip
_COUNTS = frozenset(["replicas", "podGroupSize"])
_MOST = 1000
"""The most of them that a spec may ask for; pods and Services are made by them."""
_NAMED_ONCE = frozenset(["roles", "containers", "initContainers", "volumes", "volumeMounts"])


def misshapen(manifest: Mapping[str, Any]) -> Note | None:
    """The first place at which a manifest is of another shape than a StormService, or None.

    Afterwards each place that the schema knows holds what the schema says, or null, or nothing; every item of a list
    that merges by a key is a mapping with that key; roles and containers have names of their own.
    """
    document = _document()
    return next(_problems(manifest, document["$defs"]["StormService"], document["$defs"], ()), None)


@cache
def _document() -> Schema:
    text = (files("stormc.emit") / "schemas" / "stormservice.json").read_text(encoding="utf-8")
    document: Schema = json.loads(text)
    return document


def _problems(node: Any, schema: Schema, definitions: Schema, path: Path) -> Iterator[Note]:
    amount = False
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        amount, schema = name == "Quantity", definitions[name]
    if node is None and not (path and isinstance(path[-1], int)):
        return
    if not (_is_amount(node) if amount else _fits(node, schema, path)):
        yield Note(
            LACKING,
            path,
            phrase("{path} is not what a StormService has there: {node}", path=dotted(path), node=shown(node)),
        )
    elif isinstance(node, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for key, value in node.items():
            inner = known.get(key) or (rest if isinstance(rest, dict) else None)
            if inner:
                yield from _problems(value, inner, definitions, (*path, key))
    elif isinstance(node, list):
        yield from _items(node, schema, definitions, path)


def _items(node: list[Any], schema: Schema, definitions: Schema, path: Path) -> Iterator[Note]:
    keys = merge_key("StormService", str(path[-1])) or ()
    needed = [key for key in keys if key != "protocol"]
    identities: set[tuple[Any, ...]] = set()
    for index, item in enumerate(node):
        at = (*path, index)
        yield from _problems(item, schema.get("items", {}), definitions, at)
        if not isinstance(item, dict) or not needed:
            continue
        for key in needed:
            if item.get(key) in (None, ""):
                yield Note(LACKING, at, phrase("{path} is missing", path=dotted((*at, key))))
        identity = tuple(item.get(key) for key in keys)
        if identity in identities and path[-1] in _NAMED_ONCE:
            yield Note(
                LACKING, at, phrase("{path} has {identity} twice", path=dotted(path), identity=shown(identity[0]))
            )
        identities.add(identity)


def _is_amount(node: Any) -> bool:
    """Whether a value can be a quantity: people leave the quotes of numbers out."""
    return isinstance(node, (str, int, float)) and not isinstance(node, bool)


def _fits(node: Any, schema: Schema, path: Path) -> bool:
    kinds = schema.get("type", ())
    allowed = tuple(python for kind in ([kinds] if isinstance(kinds, str) else kinds) for python in _KINDS[kind])
    if isinstance(node, bool) and bool not in allowed:
        return not allowed
    if isinstance(node, int) and path and path[-1] in _COUNTS:
        return 0 <= node <= _MOST
    return not allowed or isinstance(node, allowed)
