"""What the API server's schemas refuse, in sentences: jsonschema finds it, and it is loaded only for that."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from stormc.emit.schema_check import MAP_KEYS, Schema, SchemaProblem, key_defaults, read_schema
from stormc.finding import Path, closest, dotted, shown

DEFAULTS = "x-key-defaults"


def _is_object(_: object, value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_integer(_: object, value: object) -> bool:
    """Whole and written so: the canonical text has no 1.0, which JSON Schema would take for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: Any, pattern: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The keyword pattern, whose `$` is the end of a text; Python's also stands before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError("has the wrong form")


def _map_keys(_: Any, keys: Sequence[str], value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The keyword x-kubernetes-list-map-keys: one error for each item whose key an earlier item has."""
    if not isinstance(value, list):
        return
    seen: set[tuple[bytes, ...]] = set()
    defaults = (schema.get(DEFAULTS) or key_defaults({}, schema)).values()
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            continue
        found = [item.get(key, default) for key, default in zip(keys, defaults, strict=True)]
        mark = tuple(_identity(part) for part in found)
        if mark in seen:
            named = ", ".join(f"{key} {shown(part)}" for key, part in zip(keys, found, strict=True) if part is not None)
            yield ValidationError(f"repeats {named or 'an earlier item without ' + ', '.join(keys)}", path=[index])
        seen.add(mark)


def _identity(value: Any) -> bytes:
    try:
        return marshal.dumps(value, 2)
    except ValueError:
        return repr(value).encode("utf-8", "surrogatepass")


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many({"object": _is_object, "integer": _is_integer})
StrictValidator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {MAP_KEYS: _map_keys, "pattern": _pattern}, type_checker=_TYPES
)
"""Draft 2020-12 with Kubernetes' list maps, keys that are strings, and integers without a fraction."""


@cache
def strict(name: str) -> Any:
    """The validator of a shipped schema."""
    schema = read_schema(name)
    return StrictValidator(_with_defaults(schema, schema))


def _with_defaults(document: Schema, node: Any) -> Any:
    """The schema with the defaults of merge keys beside the keys, since the items stand elsewhere."""
    if isinstance(node, list):
        return [_with_defaults(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: _with_defaults(document, value) for key, value in node.items()}
    if MAP_KEYS in node:
        copied[DEFAULTS] = key_defaults(document, node)
    return copied


def problems_of(validator: Any, manifest: object) -> list[SchemaProblem]:
    """Everything wrong with a manifest, in order of its paths. The validator is a StrictValidator."""
    errors = list(validator.iter_errors(manifest))
    of_wrong_type = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    problems = {
        problem
        for error in errors
        if error.validator == "type" or tuple(error.absolute_path) not in of_wrong_type
        for problem in _problems(error)
    }
    return sorted(problems, key=_order)


def _order(problem: SchemaProblem) -> tuple[list[tuple[bool, int, str]], str]:
    steps = [(False, step, "") if isinstance(step, int) else (True, 0, str(step)) for step in problem.path]
    return steps, problem.message


NOUNS = {
    "string": "a string", "integer": "an integer", "boolean": "true or false", "object": "a mapping", "array": "a list",
    "number": "a number", "null": "null",
}  # fmt: skip
_SENTENCES: dict[str, Callable[[Any, Any], str]] = {
    "enum": lambda value, allowed: _enum_sentence(value, allowed),
    "minimum": lambda value, low: f"{shown(value)} is less than the minimum of {low}",
    "maximum": lambda value, high: f"{shown(value)} is more than the maximum of {high}",
    "exclusiveMinimum": lambda value, low: f"{shown(value)} is not more than {low}",
    "exclusiveMaximum": lambda value, high: f"{shown(value)} is not less than {high}",
    "multipleOf": lambda value, unit: f"{shown(value)} is not a multiple of {unit}",
    "minLength": lambda value, low: (
        f"has {len(value)} characters, at least {low} must be there" if value else "is empty"
    ),
    "maxLength": lambda value, high: f"{shown(value)} has {len(value)} characters, the limit is {high}",
    "minItems": lambda value, low: f"has {len(value)} items, at least {low} must be there" if value else "is empty",
    "maxItems": lambda value, high: f"has {len(value)} items, the limit is {high}",
    "uniqueItems": lambda value, _: "has the same item twice",
    "minProperties": lambda value, low: (
        f"has {len(value)} fields, at least {low} must be there" if value else "is empty"
    ),
    "maxProperties": lambda value, high: f"has {len(value)} fields, the limit is {high}",
    "pattern": lambda value, _: f"{shown(value)} has the wrong form",
}


def _problems(error: Any) -> Iterator[SchemaProblem]:
    """One plain sentence for each thing that an error of jsonschema is about."""
    path: Path = tuple(error.absolute_path)
    keyword, value, demand = str(error.validator), error.instance, error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        yield SchemaProblem((*path, value), f"the key {shown(value)} of {_named(path)} has the wrong form")
    elif keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in value:
            if key not in known:
                meant = closest(key, known)
                guess = f", did you mean {meant}?" if meant else ""
                yield SchemaProblem((*path, key), f"{_named((*path, key))} is not a known field{guess}")
    elif keyword == "required":
        for key in demand:
            if key not in value:
                yield SchemaProblem((*path, key), f"{_named((*path, key))} is missing")
    elif keyword == "type":
        yield SchemaProblem(path, f"{_named(path)} {_type_sentence(value, demand)}")
    elif keyword in _SENTENCES:
        yield SchemaProblem(path, f"{_named(path)} {_SENTENCES[keyword](value, demand)}")
    elif keyword == MAP_KEYS:
        yield SchemaProblem(path, f"{_named(path)} {error.message}")
    elif keyword in ("anyOf", "oneOf", "allOf", "not"):
        yield SchemaProblem(path, f"{_named(path)} {shown(value)} does not satisfy {keyword} of the schema")
    else:
        yield SchemaProblem(path, f"{_named(path)} {shown(value)} does not satisfy {keyword} {shown(demand)}")


def _named(path: Path) -> str:
    return dotted(path) or "the manifest"


def _enum_sentence(value: object, allowed: list[Any]) -> str:
    if value is False and allowed == [True]:
        return "is false, which Go says by leaving it out"
    return f"{shown(value)} is not one of {', '.join(shown(a) for a in allowed)}"


def _type_sentence(value: object, demand: Any) -> str:
    if value is None:
        return "must not be null"
    if isinstance(value, dict) and "object" in demand:
        return "has a key that is not a string"
    wanted = " or ".join(NOUNS[name] for name in ([demand] if isinstance(demand, str) else demand))
    return f"must be {wanted}, got {shown(value)}"
