"""Every rendered manifest against its JSON Schema, at a cost that a thousand apps do not feel.

jsonschema is the only judge, but it takes milliseconds per StormService, and apps repeat each other. So its verdicts
are remembered in pieces: that a mapping with exactly these keys is well-formed, that a list may have this length, that
this string fits its pattern. A manifest made of proven pieces is valid; anything else goes to jsonschema as a whole,
which then also says what is wrong. A verdict is remembered only when it is "valid" and only for exactly the same
piece (type and value, so that 1, 1.0 and true stay apart).
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from stormc.facts import kinds
from stormc.finding import Path, closest, dotted, shown

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
CONFIG_MAP_BYTES = 1024 * 1024
"""Bytes of all values together (kubernetes pkg/apis/core/validation ValidateConfigMap, core.MaxSecretSize)."""
MAP_KEYS = "x-kubernetes-list-map-keys"
"""Items of a list with these fields in common are the same item; the API server refuses the second one."""

_REMEMBERED = 4096
"""Verdicts per place of a schema. Beyond it the place forgets and starts again: memory stays bounded."""
_LARGEST = 512
"""Bytes of a value that is worth remembering; larger ones hardly ever come twice."""


class SchemaProblem(NamedTuple):
    """One thing that the API server would refuse or drop, and where."""

    path: Path
    message: str


def check_manifest(manifest: Mapping[str, Any]) -> list[SchemaProblem]:
    """What is wrong with a manifest according to the schema of its kind, in order of its paths; nothing if valid."""
    kind = manifest.get("apiVersion"), manifest.get("kind")
    name = SCHEMAS.get(kind) if all(isinstance(part, str) for part in kind) else None  # type: ignore[arg-type]
    if name is None:
        return [SchemaProblem(("kind",), f"no schema for kind {shown(kind[1])} of {shown(kind[0])}")]
    problems = _shipped(name).problems(manifest)
    if not problems and manifest["kind"] == "ConfigMap":
        size = sum(len(text.encode()) for text in manifest.get("data", {}).values())
        if size > CONFIG_MAP_BYTES:
            problems = [SchemaProblem(("data",), f"data has {size} bytes, the limit is {CONFIG_MAP_BYTES}")]
    return problems


def check_against_crd(crd: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[SchemaProblem]:
    """What an API server with this CustomResourceDefinition would refuse or silently prune of the manifest.

    Structural schema as in apiextensions v1: what it does not name is pruned, so it is a problem here. CEL rules
    (x-kubernetes-validations) need a server and are not evaluated.
    """
    group, _, version = str(manifest.get("apiVersion")).rpartition("/")
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(names, dict):
        return [SchemaProblem((), "the file is not a CustomResourceDefinition: it has no spec.names")]
    if spec.get("group") != group or names.get("kind") != manifest.get("kind"):
        described = f"{names.get('kind')} of {spec.get('group')}"
        return [
            SchemaProblem(("kind",), f"the CRD describes {described}, not {shown(manifest.get('kind'))} of {group}")
        ]
    versions = spec.get("versions")
    for entry in versions if isinstance(versions, list) else ():
        if isinstance(entry, dict) and entry.get("name") == version and entry.get("served"):
            checker = _of_crd(_child(_child(entry, "schema"), "openAPIV3Schema"))
            if checker is None:
                return [SchemaProblem((), f"version {version} of the CRD has no valid openAPIV3Schema")]
            return checker.problems(manifest)
    return [SchemaProblem(("apiVersion",), f"the CRD does not serve version {version}")]


def _is_object(_: object, value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_integer(_: object, value: object) -> bool:
    """Whole and written so: the canonical text has no 1.0, which JSON Schema would take for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _map_keys(_: Any, keys: Sequence[str], value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The keyword x-kubernetes-list-map-keys: one error for each item whose key an earlier item has."""
    if not isinstance(value, list):
        return
    seen: set[tuple[bytes, ...]] = set()
    defaults = _key_defaults(keys, schema)
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            continue
        found = [item.get(key, default) for key, default in zip(keys, defaults, strict=True)]
        mark = tuple(_identity(part) for part in found)
        if mark in seen:
            named = ", ".join(f"{key} {shown(part)}" for key, part in zip(keys, found, strict=True) if part is not None)
            yield ValidationError(f"repeats {named or 'an earlier item without ' + ', '.join(keys)}", path=[index])
        seen.add(mark)


def _key_defaults(keys: Sequence[str], schema: Schema) -> list[Any]:
    """What the server fills in before it compares: a port without protocol is a TCP port."""
    properties = schema.get("items", {}).get("properties", {})
    return [properties.get(key, {}).get("default") for key in keys]


def _identity(value: Any) -> bytes:
    try:
        return marshal.dumps(value, 2)
    except ValueError:
        return repr(value).encode("utf-8", "surrogatepass")


_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many({"object": _is_object, "integer": _is_integer})
StrictValidator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {MAP_KEYS: _map_keys}, type_checker=_TYPES
)
"""Draft 2020-12 with Kubernetes' list maps, keys that are strings, and integers without a fraction."""


@cache
def _shipped(name: str) -> Checker:
    text = (files("stormc.emit") / "schemas" / name).read_text(encoding="utf-8")
    document = json.loads(text)
    return Checker(resolved(document))


_crd_checkers: dict[int, tuple[Schema, Checker | None]] = {}


def _of_crd(schema: Schema) -> Checker | None:
    """The checker of a CRD's schema, made once per object (kept, so that its id stays its own); None if it has none."""
    known = _crd_checkers.get(id(schema))
    if known is None:
        if len(_crd_checkers) > 8:
            _crd_checkers.clear()
        known = schema, _made_of_crd(schema)
        _crd_checkers[id(schema)] = known
    return known[1]


def _made_of_crd(schema: Schema) -> Checker | None:
    try:
        return Checker(translate_crd(schema)) if schema else None
    except ValueError:
        return None


def resolved(document: Schema) -> Schema:
    """The root schema with every local reference replaced by the one shared object that it names.

    Following references costs jsonschema more than the checks behind them, and shared objects share their verdicts.
    """
    done: dict[str, Schema] = {}

    def visit(node: Any) -> Any:
        if isinstance(node, list):
            return [visit(item) for item in node]
        if not isinstance(node, dict):
            return node
        if not isinstance(node.get("$ref"), str):
            return {key: visit(value) for key, value in node.items()}
        name = node["$ref"].removeprefix("#/$defs/")
        if name not in done:
            done[name] = visit(document["$defs"][name])
        beside = {key: visit(value) for key, value in node.items() if key != "$ref"}
        return _both(done[name], beside) if beside else done[name]

    root: Schema = visit({"$ref": document["$ref"]})
    return root


def _both(one: Schema, other: Schema) -> Schema:
    """A schema that demands what both demand; they say different things except for required."""
    required = sorted({*one.get("required", ()), *other.get("required", ())})
    clash = (one.keys() & other.keys()) - {"required"}
    if clash:
        raise ValueError(f"keywords {sorted(clash)} stand beside a reference that has them too")
    return {**one, **other, **({"required": required} if required else {})}


class Checker:
    """One schema, ready to check any number of manifests."""

    def __init__(self, schema: Schema) -> None:
        self._validator = StrictValidator(schema)
        self._root = _place(schema, {})

    def problems(self, manifest: object) -> list[SchemaProblem]:
        """Everything wrong with the manifest, in order of its paths."""
        return [] if self._root.holds(manifest) else self.judge(manifest)

    def judge(self, manifest: object) -> list[SchemaProblem]:
        """The same without anything remembered: what jsonschema says about the manifest as a whole."""
        errors = list(self._validator.iter_errors(manifest))
        of_wrong_type = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
        problems = {
            problem
            for error in errors
            if error.validator == "type" or tuple(error.absolute_path) not in of_wrong_type
            for problem in _problems(error)
        }
        return sorted(problems, key=_order)


_EXACT = {"string": str, "integer": int, "boolean": bool}
_OF_KEYS = frozenset({"required", "propertyNames", "minProperties", "maxProperties"})
_OF_MAPPING = _OF_KEYS | {"type", "properties", "additionalProperties", "default"}
_OF_LIST = frozenset({"type", "items", "minItems", "maxItems", MAP_KEYS, "default"})


class _Place:
    """One place of a schema, with what was proven there.

    Only schemas are taken apart whose keywords say nothing about a mapping but its keys and each value, and nothing
    about a list but its length, each item and the merge keys. All others are asked as a whole.
    """

    __slots__ = ("_made", "_schema", "_whole", "exact", "keys", "lists", "mappings", "shapes", "values")

    def __init__(self, schema: Schema, made: dict[int, _Place]) -> None:
        kind, keywords = schema.get("type"), schema.keys()
        self._schema, self._made = schema, made
        self._whole: Any = None
        self.exact = (
            _EXACT[kind] if isinstance(kind, str) and kind in _EXACT and keywords <= {"type", "default"} else None
        )
        """Values of exactly this type are valid without further question."""
        self.mappings = kind == "object" and keywords <= _OF_MAPPING
        self.lists = kind == "array" and keywords <= _OF_LIST
        self.keys: list[tuple[str, Any]] = []
        if self.lists and MAP_KEYS in schema:
            keys = schema[MAP_KEYS]
            self.keys = list(zip(keys, _key_defaults(keys, schema), strict=True))
            self.lists = schema.get("items", {}).get("type") == "object"
        self.shapes: dict[Any, tuple[_Place, ...]] = {}
        """The places of the values under a proven tuple of keys; of the items under a proven length."""
        self.values: set[str | bytes] = set()

    def holds(self, value: object) -> bool:
        """Whether the value is valid here. False may also mean that only the judge of the whole can tell."""
        if type(value) is self.exact:
            return True
        if self.mappings and type(value) is dict:
            return self._mapping_holds(value)
        if self.lists and type(value) is list:
            return self._list_holds(value)
        return self._proven(value)

    def _mapping_holds(self, value: dict[str, Any]) -> bool:
        places = self.shapes.get(tuple(value))
        if places is None:
            places = self._shape_of_mapping(value)
            if places is None:
                return False
        for place, item in zip(places, value.values(), strict=True):
            if type(item) is not place.exact and not place.holds(item):
                return False
        return True

    def _list_holds(self, value: list[Any]) -> bool:
        places = self.shapes.get(len(value)) or self._shape_of_list(value)
        if places is None:
            return False
        place = places[0]
        for item in value:
            if type(item) is not place.exact and not place.holds(item):
                return False
        return not self.keys or len(value) < 2 or self._distinct(value)

    def _distinct(self, value: list[dict[str, Any]]) -> bool:
        """Whether the keys of valid items differ. Python takes 1 for true: then the judge of the whole decides."""
        try:
            if len(self.keys) == 1:
                key, default = self.keys[0]
                return len({item.get(key, default) for item in value}) == len(value)
            return len({tuple([item.get(key, default) for key, default in self.keys]) for item in value}) == len(value)
        except TypeError:
            return False

    def _shape_of_mapping(self, value: dict[str, Any]) -> tuple[_Place, ...] | None:
        """The places of the values, if jsonschema accepts the keys, whatever the values."""
        properties, rest = self._schema.get("properties", {}), self._schema.get("additionalProperties", True)
        shell = {key: item for key, item in self._schema.items() if key in _OF_KEYS or key == "type"}
        shell |= {"properties": dict.fromkeys(properties, True), "additionalProperties": rest is not False}
        if not StrictValidator(shell).is_valid(value):
            return None
        places = tuple(_place(properties.get(key, rest), self._made) for key in value)
        return self._learn(tuple(value), places)

    def _shape_of_list(self, value: list[Any]) -> tuple[_Place, ...] | None:
        """The one place of all items, if jsonschema accepts the length, whatever the items."""
        shell = {key: self._schema[key] for key in ("type", "minItems", "maxItems") if key in self._schema}
        if not StrictValidator(shell).is_valid(value):
            return None
        return self._learn(len(value), (_place(self._schema.get("items", True), self._made),))

    def _learn(self, shape: object, places: tuple[_Place, ...]) -> tuple[_Place, ...]:
        if len(self.shapes) >= _REMEMBERED:
            self.shapes.clear()
        self.shapes[shape] = places
        return places

    def _proven(self, value: object) -> bool:
        """Asks jsonschema, once for each value that is small enough to remember."""
        try:
            mark = value if type(value) is str else marshal.dumps(value, 2)  # type: ignore[arg-type]
        except ValueError:
            mark = b""
        if mark in self.values:
            return True
        if self._whole is None:
            self._whole = StrictValidator(self._schema)
        if not self._whole.is_valid(value):
            return False
        if mark != b"" and len(mark) <= _LARGEST:
            if len(self.values) >= _REMEMBERED:
                self.values.clear()
            self.values.add(mark)
        return True


def _place(schema: Schema | bool, made: dict[int, _Place]) -> _Place:
    """The place of a schema, one for each schema object; the root keeps the objects alive, so ids stay their own."""
    if isinstance(schema, bool):
        return _ANYTHING if schema else _NOTHING
    place = made.get(id(schema))
    if place is None:
        place = made[id(schema)] = _Place(schema, made)
    return place


_ANYTHING = _Place({}, {})
_NOTHING = _Place({"not": {}}, {})


def _order(problem: SchemaProblem) -> tuple[list[tuple[bool, int, str]], str]:
    steps = [(False, step, "") if isinstance(step, int) else (True, 0, str(step)) for step in problem.path]
    return steps, problem.message


_NOUNS = {
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
    wanted = " or ".join(_NOUNS[name] for name in ([demand] if isinstance(demand, str) else demand))
    return f"must be {wanted}, got {shown(value)}"


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
    if key == "type" and value not in _NOUNS:
        raise ValueError(f"unknown type {shown(value)}")
    return value


def _child(node: Schema, key: str) -> dict[str, Any]:
    """The mapping under a key, an empty one where the file holds something else."""
    value = node.get(key)
    return value if isinstance(value, dict) else {}


def _preserves(node: Schema) -> bool:
    return bool(node.get("x-kubernetes-preserve-unknown-fields"))


def _python_pattern(pattern: object) -> str | None:
    """A Go pattern for Python, None where there is none or Python does not know its syntax.

    Go's `$` is the end of the text; Python's also stands before a final line break.
    """
    if not isinstance(pattern, str):
        return None
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        pattern = pattern[:-1] + r"\Z"
    try:
        re.compile(pattern)
    except re.error:
        return None
    return pattern
