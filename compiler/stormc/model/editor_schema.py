"""JSON Schemas for editors, made from the Cerberus tables: `python -m tools.editor_schema` writes schema/.

They accept what Cerberus accepts, but for one thing that JSON Schema cannot tell apart: 8.0 counts as an integer.
What several fields must agree on, and what the rules check, is beyond them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stormc.model import schema
from stormc.model.forms import Schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {
    "string": "string", "integer": "integer", "float": "number", "boolean": "boolean", "dict": "object",
    "list": "array",
}  # fmt: skip


def app_schema(profiles: Sequence[str]) -> dict[str, Any]:
    """The schema of an app; the profiles are offered, a name of the user's own is accepted."""
    schema_of_file = _object(_app_table(), partial=False)
    schema_of_file["properties"]["hardware"]["anyOf"] = [{"enum": list(profiles)}, {"type": "string"}]
    return {"$schema": _DIALECT, "title": "stormc app", **schema_of_file}


def platform_schema(profiles: Sequence[str]) -> dict[str, Any]:
    """The schema of a platform file; its defaults are an app of which nothing is required."""
    schema_of_file = _object(schema.PLATFORM, partial=False)
    fields = {name: rules for name, rules in _app_table().items() if name not in schema.NOT_IN_DEFAULTS}
    defaults = _object(fields, partial=True)
    for name, field in defaults["properties"].items():
        defaults["properties"][name] = _nullable(field)
    defaults["properties"]["hardware"]["anyOf"] = [{"enum": [*profiles, None]}, {"type": ["string", "null"]}]
    schema_of_file["properties"]["defaults"] |= defaults
    return {"$schema": _DIALECT, "title": "stormc platform", **schema_of_file}


def profile_schema() -> dict[str, Any]:
    """The schema of a hardware profile."""
    return {"$schema": _DIALECT, "title": "stormc hardware profile", **_object(schema.PROFILE, partial=False)}


def _app_table() -> Schema:
    """The fields of an app with its sections and overrides in their places."""
    sections = {name: {**schema.APP[name], "schema": table} for name, table in schema.SECTIONS.items()}
    overrides = {**schema.APP["overrides"], "schema": {"type": "dict", "schema": schema.OVERRIDE}}
    return {**schema.APP, **sections, "overrides": overrides}


def _object(table: Schema, partial: bool) -> dict[str, Any]:
    keywords: dict[str, Any] = {
        "type": "object",
        "properties": {name: _named(name, rules, partial) for name, rules in table.items()},
        "additionalProperties": False,
    }
    required = [name for name, rules in table.items() if rules.get("required") and not partial]
    apart = {tuple(sorted((name, rules["excludes"]))) for name, rules in table.items() if "excludes" in rules}
    if required:
        keywords["required"] = required
    if apart:
        # A null has no fields: without the type, `not required` would refuse it.
        keywords["allOf"] = [{"not": {"type": "object", "required": list(pair)}} for pair in sorted(apart)]
    return keywords


def _named(name: str, rules: Mapping[str, Any], partial: bool) -> dict[str, Any]:
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
    return {"title": title, **_value(rules, partial)}


def _value(rules: Mapping[str, Any], partial: bool) -> dict[str, Any]:
    types = [_TYPES[t] for t in ([rules["type"]] if isinstance(rules["type"], str) else rules["type"])]
    keywords: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if "meta" in rules:
        keywords["description"] = rules["meta"]["description"]
    if "default" in rules:
        keywords["default"] = rules["default"]
    if "allowed" in rules:
        keywords["enum"] = list(rules["allowed"])
    if "regex" in rules:
        keywords |= _whole(rules["regex"])
    kind = {"object": "Properties", "array": "Items"}.get(types[0], "Length")
    names = {"min": "minimum", "max": "maximum", "minlength": f"min{kind}", "maxlength": f"max{kind}"}
    keywords |= {theirs: rules[ours] for ours, theirs in names.items() if ours in rules}
    if "keysrules" in rules and "regex" in rules["keysrules"]:
        keywords["propertyNames"] = _whole(rules["keysrules"]["regex"])
    if "valuesrules" in rules:
        keywords["additionalProperties"] = _value(rules["valuesrules"], partial)
    if "schema" in rules:
        if types[0] == "array":
            keywords["items"] = _value(rules["schema"], partial)
        else:
            keywords |= {**_object(rules["schema"], partial), "type": keywords["type"]}
    if "one_of" in rules:
        one = [{"required": [name]} for name in rules["one_of"]]
        keywords["if"], keywords["then"] = {"type": "object"}, {"oneOf": one}
    # Cerberus puts the default where a field is null, and so accepts it there.
    has_default = "default" in rules or "default_setter" in rules
    return _nullable(keywords) if rules.get("nullable") or (has_default and not partial) else keywords


def _nullable(keywords: dict[str, Any]) -> dict[str, Any]:
    types = keywords["type"] if isinstance(keywords["type"], list) else [keywords["type"]]
    enum = {"enum": [*keywords["enum"], None]} if "enum" in keywords else {}
    return {**keywords, "type": [*types, "null"], **enum}


def _whole(pattern: str) -> dict[str, Any]:
    """The keywords for a whole string. RE2 knows no lookahead: what a pattern must not begin with stands beside it."""
    refused = re.match(r"\(\?!((?:[^()]|\([^()]*\))*)\)", pattern)
    if refused is None:
        return {"pattern": f"^(?:{pattern})$"}
    return {"pattern": f"^(?:{pattern[refused.end() :]})$", "not": {"pattern": f"^(?:{refused[1]})"}}


def schemas(profiles: Sequence[str]) -> dict[str, str]:
    """The schema files by name; `profiles` are the hardware names to offer."""
    by_kind = {"app": app_schema(profiles), "platform": platform_schema(profiles), "profile": profile_schema()}
    return {f"{name}.schema.json": json.dumps(by_kind[name], indent=2, ensure_ascii=False) + "\n" for name in by_kind}
