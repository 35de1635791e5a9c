"""The parts of which the schemas are made: kinds of values, patterns of names, closed objects, lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

END = "$"
"""The end of the string for ECMA 262, Go and RE2. Python also accepts a line break there; schema_words.py does not."""

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
TRUE: Schema = {"enum": [True]}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
POSITIVE: Schema = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
PORT: Schema = {"minimum": 1, "maximum": 65535}

LABEL_VALUE = rf"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?{END}"
KEY = rf"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?{END}"
DNS_LABEL = rf"^[a-z0-9]([-a-z0-9]*[a-z0-9])?{END}"
DNS_1035 = rf"^[a-z]([-a-z0-9]*[a-z0-9])?{END}"
DNS_SUBDOMAIN = rf"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*{END}"
# Source of the five: kubernetes apimachinery pkg/util/validation/validation.go.

LABELS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": KEY},
    "additionalProperties": {"type": "string", "pattern": LABEL_VALUE, "maxLength": 63},
}
ANNOTATIONS: Schema = {"type": "object", "propertyNames": {"pattern": KEY}, "additionalProperties": STRING}


def closed(properties: Mapping[str, Schema], required: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object that may have these fields alone."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}
    return {**schema, "required": list(required)} if required else schema


def list_of(items: Schema, *keys: str, **more: Any) -> Schema:
    """A list; `keys` tell its items apart."""
    merge: Schema = {"x-kubernetes-list-map-keys": list(keys)} if keys else {}
    return {"type": "array", "items": items, **merge, **more}


def ref(name: str) -> Schema:
    """Another definition of the same document."""
    return {"$ref": f"#/$defs/{name}"}


def const(value: str) -> Schema:
    """This string and no other."""
    return {"type": "string", "enum": [value]}


def metadata(name_pattern: str, name_max: int) -> Schema:
    """The metadata of an object that Git holds; what only the API server writes is left out."""
    return closed(
        {
            "name": {"type": "string", "pattern": name_pattern, "maxLength": name_max},
            "namespace": {"type": "string", "pattern": DNS_LABEL, "maxLength": 63},
            "labels": LABELS,
            "annotations": ANNOTATIONS,
            "finalizers": list_of(STRING),
        },
        ("name", "namespace"),
    )


NAME_MAX = 253
DURATION: Schema = {"type": "string", "pattern": rf"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+{END}"}
FILLED_STRING: Schema = {"type": "string", "minLength": 1}
