"""Puts into sentences what the API server's schemas refuse. jsonschema finds it, and is loaded for nothing else."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from stormc.emit.schema_check import MAP_KEYS, Schema, key_defaults, read_schema
from stormc.emit.size import SchemaProblem
from stormc.finding import Path, closest, dotted, shown
from stormc.phrase import NONE, Phrase, either, phrase

DEFAULTS = "x-key-defaults"


def _is_object(_: object, value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_integer(_: object, value: object) -> bool:
    """Whole and written so: the canonical text has no 1.0, which JSON Schema would take for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: Any, pattern: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The keyword pattern, whose `$` is the end of a text; Python's also stands before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(phrase("has the wrong form"))


def _map_keys(_: Any, keys: Sequence[str], value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The keyword x-kubernetes-list-map-keys: one error for each item whose key an earlier item has."""
    if not isinstance(value, list):
        return
    earlier_keys: set[tuple[bytes, ...]] = set()
    defaults = (schema.get(DEFAULTS) or key_defaults({}, schema)).values()
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            continue
        parts = [item.get(key, default) for key, default in zip(keys, defaults, strict=True)]
        key = tuple(_identity(part) for part in parts)
        if key in earlier_keys:
            named = ", ".join(f"{key} {shown(part)}" for key, part in zip(keys, parts, strict=True) if part is not None)
            without = phrase("an earlier item without {keys}", keys=", ".join(keys))
            yield ValidationError(phrase("repeats {item}", item=named or without), path=[index])
        earlier_keys.add(key)


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
    "string": phrase("a string"),
    "integer": phrase("an integer"),
    "boolean": phrase("true or false"),
    "object": phrase("a mapping"),
    "array": phrase("a list"),
    "number": phrase("a number"),
    "null": phrase("null"),
}
_SENTENCES: dict[str, Callable[[Any, Any], Phrase]] = {
    "enum": lambda value, allowed: _enum_sentence(value, allowed),
    "minimum": lambda value, low: phrase("{value} is less than the minimum of {low}", value=shown(value), low=low),
    "maximum": lambda value, high: phrase("{value} is more than the maximum of {high}", value=shown(value), high=high),
    "exclusiveMinimum": lambda value, low: phrase("{value} is not more than {low}", value=shown(value), low=low),
    "exclusiveMaximum": lambda value, high: phrase("{value} is not less than {high}", value=shown(value), high=high),
    "multipleOf": lambda value, unit: phrase("{value} is not a multiple of {unit}", value=shown(value), unit=unit),
    "minLength": lambda value, low: (
        phrase("has {length} characters, at least {low} must be there", length=len(value), low=low)
        if value
        else phrase("is empty")
    ),
    "maxLength": lambda value, high: phrase(
        "{value} has {length} characters, the limit is {high}", value=shown(value), length=len(value), high=high
    ),
    "minItems": lambda value, low: (
        phrase("has {length} items, at least {low} must be there", length=len(value), low=low)
        if value
        else phrase("is empty")
    ),
    "maxItems": lambda value, high: phrase("has {length} items, the limit is {high}", length=len(value), high=high),
    "uniqueItems": lambda value, _: phrase("has the same item twice"),
    "minProperties": lambda value, low: (
        phrase("has {length} fields, at least {low} must be there", length=len(value), low=low)
        if value
        else phrase("is empty")
    ),
    "maxProperties": lambda value, high: phrase(
        "has {length} fields, the limit is {high}", length=len(value), high=high
    ),
    "pattern": lambda value, _: phrase("{value} has the wrong form", value=shown(value)),
}


def _problems(error: Any) -> Iterator[SchemaProblem]:
    """One plain sentence for each thing that an error of jsonschema is about."""
    path: Path = tuple(error.absolute_path)
    keyword, value, demand = str(error.validator), error.instance, error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        yield SchemaProblem((*path, value), phrase("the key {value} of {path} has the wrong form", value=shown(value),
                                                   path=_named(path)))  # fmt: skip
    elif keyword == "additionalProperties":
        fields = error.schema.get("properties", {})
        for key in value:
            if key not in fields:
                meant = closest(key, fields)
                guess = phrase(", did you mean {meant}?", meant=meant) if meant else NONE
                yield SchemaProblem((*path, key), phrase("{path} is not a known field{guess}",
                                                         path=_named((*path, key)), guess=guess))  # fmt: skip
    elif keyword == "required":
        for key in demand:
            if key not in value:
                yield SchemaProblem((*path, key), phrase("{path} is missing", path=_named((*path, key))))
    elif keyword == "type":
        yield SchemaProblem(path, phrase("{path} {problem}", path=_named(path), problem=_type_sentence(value, demand)))
    elif keyword in _SENTENCES:
        yield SchemaProblem(path, phrase("{path} {problem}", path=_named(path),
                                         problem=_SENTENCES[keyword](value, demand)))  # fmt: skip
    elif keyword == MAP_KEYS:
        yield SchemaProblem(path, phrase("{path} {problem}", path=_named(path), problem=error.message))
    elif keyword in ("anyOf", "oneOf", "allOf", "not"):
        yield SchemaProblem(path, phrase("{path} {value} does not satisfy {keyword} of the schema", path=_named(path),
                                         value=shown(value), keyword=keyword))  # fmt: skip
    else:
        yield SchemaProblem(path, phrase("{path} {value} does not satisfy {keyword} {demand}", path=_named(path),
                                         value=shown(value), keyword=keyword, demand=shown(demand)))  # fmt: skip


def _named(path: Path) -> str:
    return dotted(path) or phrase("the manifest")


def _enum_sentence(value: object, allowed: list[Any]) -> Phrase:
    if value is False and allowed == [True]:
        return phrase("is false: leave it out, as the API server does, or every comparison with the cluster shows it")
    return phrase("{value} is not one of {allowed}", value=shown(value), allowed=", ".join(shown(a) for a in allowed))


def _type_sentence(value: object, demand: Any) -> Phrase:
    if value is None:
        return phrase("must not be null")
    if isinstance(value, dict) and "object" in demand:
        return phrase("has a key that is not a string")
    types = either(NOUNS[name] for name in ([demand] if isinstance(demand, str) else demand))
    return phrase("must be {wanted}, got {value}", wanted=types, value=shown(value))
