"""Checks every rendered manifest against the schema of its kind, quickly enough for a thousand apps.

jsonschema-rs judges; jsonschema, which takes many times as long, puts into words what it refuses. What neither knows,
the merge keys of lists, is a walk over the lists that have some.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path as File
from typing import Any

from stormc.emit.rust_schemas import jsonschema_rs
from stormc.emit.size import SchemaProblem, check_size
from stormc.facts import kinds
from stormc.finding import shown
from stormc.phrase import phrase
from stormc.record import NamedTuple

Schema = Mapping[str, Any]

SCHEMAS = {
    (kinds.API_VERSIONS["StormService"], "StormService"): "stormservice.json",
    ("v1", "Service"): "service.json",
    ("v1", "ConfigMap"): "configmap.json",
    (kinds.API_VERSIONS["PodDisruptionBudget"], "PodDisruptionBudget"): "poddisruptionbudget.json",
    (kinds.API_VERSIONS["NetworkPolicy"], "NetworkPolicy"): "networkpolicy.json",
    (kinds.KUSTOMIZE, "Kustomization"): "kustomization.json",
    (kinds.ARGOCD, "AppProject"): "argocd-appproject.json",
    (kinds.ARGOCD, "Application"): "argocd-application.json",
    (kinds.ARGOCD, "ApplicationSet"): "argocd-applicationset.json",
    (kinds.FLUX_SOURCE, "GitRepository"): "flux-gitrepository.json",
    (kinds.FLUX_KUSTOMIZE, "Kustomization"): "flux-kustomization.json",
}
MAP_KEYS = "x-kubernetes-list-map-keys"
"""Items of a list with these fields in common are the same item; the API server refuses the second one."""


def check_manifest(manifest: Mapping[str, Any]) -> list[SchemaProblem]:
    """What is wrong with a manifest by the schema of its kind, in order of the paths; empty where it is valid."""
    kind = manifest.get("apiVersion"), manifest.get("kind")
    name = SCHEMAS.get(kind) if type(kind[0]) is type(kind[1]) is str else None  # type: ignore[arg-type]
    if name is None:
        return [
            SchemaProblem(
                ("kind",), phrase("no schema for kind {kind} of {version}", kind=shown(kind[1]), version=shown(kind[0]))
            )
        ]
    return check_size(manifest) if holds(name, manifest) else _worded(name, manifest)


def holds(name: str, manifest: object) -> bool:
    """Whether a manifest is valid under a shipped schema."""
    judge, lists = _judge(name)
    try:
        return bool(judge.is_valid(manifest)) and (lists is None or _distinct(lists, manifest))
    except (ValueError, TypeError):  # a key that is no text, or a value that JSON does not have
        return False


def _worded(name: str, manifest: object) -> list[SchemaProblem]:
    from stormc.emit.schema_words import problems_of, strict

    return problems_of(strict(name), manifest) or [
        SchemaProblem((), phrase("the manifest does not satisfy its schema"))
    ]


def read_schema(name: str) -> dict[str, Any]:
    """A shipped schema."""
    schema: dict[str, Any] = json.loads((File(__file__).parent / "schemas" / name).read_bytes())
    return schema


class _Whole:
    """A keyword that keeps 1.0, an integer to JSON Schema, out of integers: the canonical text has no such number."""

    def __init__(self, *_: object) -> None:
        """Takes what jsonschema-rs knows of the place: schema, value of the keyword, path."""

    def validate(self, value: object) -> None:
        """Raises ValueError for a number that is written with a fraction."""
        if type(value) is float:
            raise ValueError("not an integer")


@cache
def _judge(name: str) -> tuple[Any, _Lists | None]:
    schema = read_schema(name)
    judge = jsonschema_rs.Draft202012Validator(
        _with_whole_numbers(schema), keywords={"x-whole": _Whole}, pattern_options=jsonschema_rs.RegexOptions()
    )
    return judge, _lists(schema, schema)


def _with_whole_numbers(node: Any) -> Any:
    """The schema with the keyword of whole numbers beside every integer."""
    if isinstance(node, list):
        return [_with_whole_numbers(item) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: _with_whole_numbers(value) for key, value in node.items()}
    if node.get("type") == "integer" or (isinstance(node.get("type"), list) and "integer" in node["type"]):
        copied["x-whole"] = True
    return copied


class _Lists(NamedTuple):
    """Where a value has lists with merge keys: itself by these keys and their defaults, in fields, in its items."""

    keys: tuple[tuple[str, Any], ...]
    fields: tuple[tuple[str, _Lists], ...]
    items: _Lists | None


def _lists(document: Schema, node: Any) -> _Lists | None:
    if isinstance(node, dict) and "$ref" in node:
        node = document["$defs"][node["$ref"].removeprefix("#/$defs/")]
    if not isinstance(node, dict):
        return None
    inner = [(name, _lists(document, field)) for name, field in node.get("properties", {}).items()]
    fields = tuple((name, lists) for name, lists in inner if lists is not None)
    items = _lists(document, node.get("items"))
    defaults = key_defaults(document, node)
    keys = tuple((key, defaults[key]) for key in node.get(MAP_KEYS, ()))
    return _Lists(keys, fields, items) if keys or fields or items else None


def key_defaults(document: Schema, node: Schema) -> Mapping[str, Any]:
    """What the server fills in before it compares the items of a list: a port without protocol is a TCP port."""
    item = node.get("items") or {}
    if "$ref" in item:
        item = document["$defs"][item["$ref"].removeprefix("#/$defs/")]
    properties = item.get("properties", {})
    return {key: properties.get(key, {}).get("default") for key in node.get(MAP_KEYS, ())}


def _distinct(lists: _Lists, value: Any) -> bool:
    """Whether no list of a valid value has two items of the same keys."""
    keys, fields, inside = lists
    if fields:
        for name, inner in fields:  # noqa: SIM110 - a generator doubles the cost of this walk
            if name in value and not _distinct(inner, value[name]):
                return False
        return True
    if len(value) > 1 and keys:
        if len(keys) == 1:
            (key, default), *_ = keys
            if len({item.get(key, default) for item in value}) < len(value):
                return False
        elif len({tuple([item.get(key, default) for key, default in keys]) for item in value}) < len(value):
            return False
    if inside is not None:
        for item in value:
            if not _distinct(inside, item):
                return False
    return True
