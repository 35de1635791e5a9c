"""What an API server with the user's own CustomResourceDefinition would refuse or prune of a StormService."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stormc.emit.schema_check import MAP_KEYS, Schema
from stormc.emit.schema_words import NOUNS, StrictValidator, problems_of
from stormc.emit.size import SchemaProblem
from stormc.finding import shown
from stormc.phrase import phrase

_CHECKS: dict[str, type | tuple[type, ...]] = {
    "enum": list, "required": list, "uniqueItems": bool, "minLength": int, "maxLength": int, "minItems": int,
    "maxItems": int, "minProperties": int, "maxProperties": int, "multipleOf": (int, float), "minimum": (int, float),
    "maximum": (int, float),
}  # fmt: skip
"""Keywords that mean the same in OpenAPI 3.0 and in draft 2020-12, and what their values are."""
_FORMATS = {"int32": 2**31, "int64": 2**63}
_OBJECT_META = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
    "generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
"""Fields of metadata, which the server checks itself whatever the CRD says (apimachinery meta/v1 ObjectMeta)."""
_STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_META: Schema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(_OBJECT_META, True),
        "name": {"type": "string"}, "namespace": {"type": "string"}, "labels": _STRINGS, "annotations": _STRINGS,
    },
    "additionalProperties": False,
}  # fmt: skip
_RESOURCE: Schema = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _META}


class Crd:
    """The user's CustomResourceDefinition, to hold any number of manifests against.

    Structural schema as in apiextensions v1: what it does not name is pruned, so it is a problem here. CEL rules
    (x-kubernetes-validations) need a server and are not evaluated.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self._validators: dict[str, Any] = {}

    def problems(self, manifest: Mapping[str, Any]) -> list[SchemaProblem]:
        """What an API server with this definition would refuse or silently prune of the manifest."""
        group, _, version = str(manifest.get("apiVersion")).rpartition("/")
        spec = self.data.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if not isinstance(spec, dict) or not isinstance(names, dict):
            return [SchemaProblem((), phrase("the file is not a CustomResourceDefinition: it has no spec.names"))]
        if spec.get("group") != group or names.get("kind") != manifest.get("kind"):
            described, kind = f"{names.get('kind')} of {spec.get('group')}", shown(manifest.get("kind"))
            return [
                SchemaProblem(
                    ("kind",),
                    phrase(
                        "the CRD describes {described}, not {kind} of {group}",
                        described=described,
                        kind=kind,
                        group=group,
                    ),
                )
            ]
        schema = _schema(spec.get("versions"), version)
        if schema is None:
            return [SchemaProblem(("apiVersion",), phrase("the CRD does not serve version {version}", version=version))]
        if version not in self._validators:
            self._validators[version] = _validator(schema)
        if self._validators[version] is None:
            return [
                SchemaProblem((), phrase("version {version} of the CRD has no valid openAPIV3Schema", version=version))
            ]
        return problems_of(self._validators[version], manifest)


def _schema(versions: object, version: str) -> Schema | None:
    """The schema of a served version, an empty one where the file holds none; None where it is not served."""
    for entry in versions if isinstance(versions, list) else ():
        if isinstance(entry, dict) and entry.get("name") == version and entry.get("served"):
            return _child(_child(entry, "schema"), "openAPIV3Schema")
    return None


def _validator(schema: Schema) -> Any:
    """The validator of a schema; None for one that is no schema."""
    try:
        return StrictValidator(translate_crd(schema)) if schema else None
    except ValueError:
        return None


def translate_crd(schema: Schema) -> Schema:
    """The JSON Schema that holds for what the API server would store unchanged under a CRD's openAPIV3Schema.

    Raises ValueError where that is no schema, so that jsonschema never meets a keyword that it cannot read. (Checking
    the result against the metaschema says the same, and takes a second for the CRD of StormService.)
    """
    return _translated({**schema, "x-kubernetes-embedded-resource": True}, closed=True)


def _translated(node: Schema, closed: bool) -> dict[str, Any]:
    """One node. `closed` is false inside allOf, anyOf, oneOf and not: those check values and name no fields."""
    if not isinstance(node, dict):
        raise ValueError(f"{shown(node)} is no schema")
    result: dict[str, Any] = {key: _checked(node, key, wanted) for key, wanted in _CHECKS.items() if key in node}
    types = [_checked(node, "type", str)] if "type" in node else []
    if node.get("x-kubernetes-int-or-string"):
        types = ["integer", "string"]
    if types:
        null = ["null"] if node.get("nullable") else []
        result["type"] = types[0] if len(types) + len(null) == 1 else [*types, *null]
    for bound in ("Minimum", "Maximum"):
        if node.get(f"exclusive{bound}") is True and bound.lower() in result:
            result[f"exclusive{bound}"] = result.pop(bound.lower())
    limit = _FORMATS.get(str(node.get("format")))
    if limit is not None and types == ["integer"]:
        result["minimum"] = max(result.get("minimum", -limit), -limit)
        result["maximum"] = min(result.get("maximum", limit - 1), limit - 1)
    pattern = _python_pattern(node.get("pattern"))
    if pattern is not None:
        result["pattern"] = pattern
    if "default" in node:
        result["default"] = node["default"]
    _translate_children(node, closed, result)
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword in node and not node.get("x-kubernetes-int-or-string"):
            result[keyword] = [_translated(part, closed=False) for part in _checked(node, keyword, list)]
    if "not" in node:
        result["not"] = _translated(_checked(node, "not", dict), closed=False)
    return result


def _translate_children(node: Schema, closed: bool, result: dict[str, Any]) -> None:
    fields = {key: _translated(value, closed) for key, value in _child(node, "properties").items()}
    if node.get("x-kubernetes-embedded-resource"):
        fields |= _RESOURCE
    if fields:
        result["properties"] = fields
    rest = node.get("additionalProperties")
    if isinstance(rest, dict):
        result["additionalProperties"] = _translated(rest, closed)
    elif closed and rest is not True and node.get("type") == "object" and not _preserves(node):
        result["additionalProperties"] = False
    if isinstance(node.get("items"), dict):
        result["items"] = _translated(node["items"], closed)
    kind = node.get("x-kubernetes-list-type")
    if kind == "set":
        result["uniqueItems"] = True
    elif kind == "map" and node.get(MAP_KEYS):
        result[MAP_KEYS] = _checked(node, MAP_KEYS, list)


def _checked(node: Schema, key: str, wanted: type | tuple[type, ...]) -> Any:
    """The value of a keyword, of the type that it must have; ValueError otherwise."""
    value = node[key]
    names = value if key in ("required", MAP_KEYS) else ()
    if not isinstance(value, wanted) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} {shown(value)}")
    if key == "type" and value not in NOUNS:
        raise ValueError(f"unknown type {shown(value)}")
    return value


def _child(node: Schema, key: str) -> dict[str, Any]:
    """The mapping under a key, an empty one where the file holds something else."""
    value = node.get(key)
    return value if isinstance(value, dict) else {}


def _preserves(node: Schema) -> bool:
    return bool(node.get("x-kubernetes-preserve-unknown-fields"))


def _python_pattern(pattern: object) -> str | None:
    """A Go pattern, None where there is none or Python does not know its syntax."""
    if not isinstance(pattern, str):
        return None
    try:
        re.compile(pattern)
    except re.error:
        return None
    return pattern
