"""Cerberus at work: validation and normalisation of documents, every error a finding on the user's line."""

from __future__ import annotations

import marshal
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any, ClassVar

from stormc.facts import limits
from stormc.finding import Finding, Path, closest, did_you_mean, dotted, shown
from stormc.model import field as forms
from stormc.model import quantity, schema
from stormc.model.checks import (
    BROKEN_CONSTRAINT,
    CONTRADICTION,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    UNKNOWN_KEY,
    WRONG_FORM,
    WRONG_TYPE,
)
from stormc.model.layers import Layered

# Cerberus asks importlib.metadata for its own version, nothing else; loading that, with the email parser behind it,
# takes a sixth of the time in which a spec is validated.
_LOADED = "importlib.metadata" in sys.modules
if not _LOADED:
    sys.modules["importlib.metadata"] = ModuleType("importlib.metadata")
    sys.modules["importlib.metadata"].version = str  # type: ignore[attr-defined]
try:
    from cerberus import TypeDefinition, Validator, errors
    from cerberus.schema import DefinitionSchema
finally:
    if not _LOADED:
        del sys.modules["importlib.metadata"]

_NOUNS = {
    "integer": "an integer", "string": "a string", "boolean": "true or false", "dict": "a mapping", "list": "a list",
    "float": "a number",
}  # fmt: skip
_TYPE_HINTS = {
    "integer": "write a whole number", "string": "write a text", "boolean": "write true or false",
    "dict": "write its fields below it, indented", "list": "write one '- item' per line", "float": "write a number",
}  # fmt: skip
_YAML_11_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


_TABLES: dict[str, forms.Schema] = {
    **schema.SECTIONS, "app": schema.APP, "platform": schema.PLATFORM, "profile": schema.PROFILE,
    "override": schema.OVERRIDE,
}  # fmt: skip


class SpecValidator(Validator):  # type: ignore[misc]
    """Cerberus with whole-string patterns (its own `$` lets a trailing newline through) and computed defaults.

    Its own integers include true and false.
    """

    types_mapping: ClassVar[Mapping[str, Any]] = {
        **Validator.types_mapping,
        "integer": TypeDefinition("integer", (int,), (bool,)),
    }

    def _error(self, *args: Any) -> None:
        """Cerberus sorts all errors, and those of two trees that nobody here reads, for each new one."""
        if len(args) == 1:
            self._errors.extend(args[0])
        else:
            super()._error(*args)

    def _validate_regex(self, pattern: str, field: str, value: object) -> None:
        """{'type': 'string'}"""
        if isinstance(value, str) and not _pattern(pattern).fullmatch(value):
            self._error(field, errors.REGEX_MISMATCH)

    def _validate_one_of(self, names: list[str], field: str, value: object) -> None:
        """{'type': 'list'}"""
        if isinstance(value, dict):
            given = [name for name in names if value.get(name) is not None]
            if len(given) != 1:
                self._error(field, f"needs one of {', '.join(names)}" if not given else f"has {' and '.join(given)}")

    def _normalize_default_setter_distributed_dp(self, document: Mapping[str, Any]) -> bool:
        ranks = document.get("dataParallel", 1)
        return isinstance(ranks, int) and ranks > 1


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _ProvenSchema(DefinitionSchema):  # type: ignore[misc]
    """One of our tables, which a test proves to be a valid schema.

    Cerberus proves a schema when a validator is made and again for the copy it takes of it per document; the first
    costs as much as starting Python three times, the second half of a render.
    """

    def __init__(self, validator: Validator, schema: forms.Schema) -> None:
        self.validator = validator
        self.schema = schema

    def copy(self) -> dict[str, Any]:
        return dict(self.schema)


@cache
def _validator(section: str) -> SpecValidator:
    validator = SpecValidator()
    validator.schema = _ProvenSchema(validator, _TABLES[section])
    return validator


_proven: dict[tuple[str, bytes], dict[str, Any]] = {}
"""Sections already found valid. Apps repeat each other, and a section proven once needs no second proof."""


def _check_section(section: str, value: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Any]]:
    key = (section, marshal.dumps(dict(value), 2))
    known = _proven.get(key)
    if known is not None:
        return known, []
    validator = _validator(section)
    if validator.validate(value):
        normal: dict[str, Any] = validator.document
        if len(_proven) < 4096:
            _proven[key] = normal
        return normal, []
    return None, list(validator._errors)


def check_app(layered: Layered) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The app's normalised fields, or the findings that tell what is wrong with them."""
    normal, problems = _check_section("app", layered.data)
    findings = list(_findings(layered, "app", (), problems))
    result: dict[str, Any] = dict(normal or {})
    for section in schema.SECTIONS:
        value = layered.data.get(section)
        if value is None and schema.APP[section].get("required"):
            continue
        if value is None or isinstance(value, dict):
            part, problems = _check_section(section, value or {})
            findings += _findings(layered, section, (section,), problems)
            result[section] = part
    overrides = layered.data.get("overrides")
    for index, override in enumerate(overrides if isinstance(overrides, list) else ()):
        at: Path = ("overrides", index)
        if isinstance(override, dict):
            findings += _findings(layered, "override", at, _check_section("override", override)[1])
        else:
            findings.append(_at(layered, WRONG_TYPE, at, f"{dotted(at)} must be a mapping, got {shown(override)}",
                                _type_hint(["dict"], override)))  # fmt: skip
    return (None if findings else result), _without_follow_ups(findings)


def _without_follow_ups(findings: list[Finding]) -> list[Finding]:
    """Drops 'x is missing' where a misspelt key beside it was meant to be x."""
    meant = {(f.file, *f.path[:-1], f.meant) for f in findings if f.rule == UNKNOWN_KEY and f.meant}
    return [f for f in findings if f.rule != MISSING or (f.file, *f.path) not in meant]


def check_platform(layered: Layered) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The platform file's fields, or findings; its defaults are checked as far as a part of an app can be."""
    normal, problems = _check_section("platform", layered.data)
    findings = list(_findings(layered, "platform", (), problems))
    defaults = layered.data.get("defaults")
    if isinstance(defaults, dict):
        findings += _check_defaults(layered, defaults)
    return (None if findings else normal), findings


def _check_defaults(layered: Layered, defaults: Mapping[str, Any]) -> Iterator[Finding]:
    for field in schema.NOT_IN_DEFAULTS:
        if field in defaults:
            at: Path = ("defaults", field)
            yield _at(layered, UNKNOWN_KEY, at, f"{dotted(at)} belongs into each app", "move it there", key=True)
    fields = {
        key: value
        for key, value in defaults.items()
        if key not in schema.NOT_IN_DEFAULTS and (value is not None or key not in schema.APP)
    }
    yield from _partial(layered, "app", ("defaults",), fields)
    for section in schema.SECTIONS:
        value = fields.get(section)
        if isinstance(value, dict):
            yield from _partial(layered, section, ("defaults", section), value)


def _partial(layered: Layered, section: str, prefix: Path, value: Mapping[str, Any]) -> Iterator[Finding]:
    validator = _validator(section)
    validator.validate(value, update=True, normalize=False)
    yield from _findings(layered, section, prefix, validator._errors)


def check_profile(layered: Layered) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The profile's fields, or findings."""
    normal, problems = _check_section("profile", layered.data)
    findings = _without_follow_ups(list(_findings(layered, "profile", (), problems)))
    return normal, findings or list(_profile_contradictions(layered, normal or {}))


def _profile_contradictions(layered: Layered, profile: Mapping[str, Any]) -> Iterator[Finding]:
    policy: str = profile["schedulePolicy"]
    if profile["superPod"] != policy.endswith("-sp"):
        hint = f"set superPod: {str(policy.endswith('-sp')).lower()}, or choose another policy"
        yield _at(layered, CONTRADICTION, ("superPod",), f"superPod contradicts schedulePolicy {policy}", hint)
    node = re.match(r"chip\d+-node(\d+)", policy)
    if node and int(node[1]) != profile["npus"]:
        message = f"npus {profile['npus']} is not the node of schedulePolicy {policy}"
        yield _at(layered, CONTRADICTION, ("npus",), message, f"set {node[1]}, or choose another policy")
    elif max(profile["podNpus"]) > profile["npus"]:
        message = f"podNpus go up to {max(profile['podNpus'])}, a node has {profile['npus']}"
        yield _at(layered, CONTRADICTION, ("podNpus",), message, f"at most {profile['npus']}")


def _at(layered: Layered, rule: str, path: Path, message: str, hint: str = "", key: bool = False) -> Finding:
    file, mark = layered.locate(path, key)
    return Finding(rule, file, mark, message, hint, path)


def _findings(layered: Layered, section: str, prefix: Path, problems: Iterable[Any]) -> Iterator[Finding]:
    for number, error in enumerate(problems):
        if error.is_group_error and error.child_errors:
            yield from _findings(layered, section, prefix, error.child_errors)
        else:
            yield _finding(layered, _TABLES[section], prefix, error, guess=number < MOST_GUESSES)


MOST_GUESSES = 20
"""Unknown keys of a mapping whose meaning is guessed; with more the file is something else, and each takes a while."""


def _finding(layered: Layered, table: forms.Schema, prefix: Path, error: Any, guess: bool) -> Finding:
    path: Path = (*prefix, *error.document_path)
    name, value, constraint = dotted(path), error.value, error.constraint
    rules = _rules(table, error.document_path)
    if error.code == errors.UNKNOWN_FIELD.code:
        known = _rules(table, error.document_path[:-1])
        word = str(path[-1]).split("：")[0]
        hint = did_you_mean(word, known) if guess else ""
        unknown = _at(
            layered, UNKNOWN_KEY, path, f"unknown key {name}", hint or "docs/spec.md has all fields", key=True
        )
        return unknown._replace(meant=closest(word, known) if guess else None)
    if error.code == errors.REQUIRED_FIELD.code:
        meaning: str = rules.get("meta", {}).get("description", "")
        return _at(layered, MISSING, path, f"{name} is missing", meaning.rstrip("."))
    if error.code in (errors.BAD_TYPE.code, errors.NOT_NULLABLE.code):
        types = [constraint] if isinstance(constraint, str) else constraint if isinstance(constraint, list) else []
        wanted = " or ".join(_NOUNS.get(t, t) for t in types) or "set"
        return _at(layered, WRONG_TYPE, path, f"{name} must be {wanted}, got {shown(value)}", _type_hint(types, value))
    if error.code in (errors.MIN_VALUE.code, errors.MAX_VALUE.code):
        low, high = rules.get("min", constraint), rules.get("max")
        hint = f"at least {low}" if error.code == errors.MIN_VALUE.code else f"at most {high}"
        wrong = f"below {low}" if high is None else f"outside {low}…{high}"
        return _at(layered, OUT_OF_RANGE, path, f"{name} {shown(value)} is {wrong}", hint)
    if error.code in (errors.UNALLOWED_VALUE.code, errors.UNALLOWED_VALUES.code):
        allowed = [str(a) for a in constraint]
        hint = did_you_mean(str(value), allowed)
        return _at(layered, NOT_ALLOWED, path, f"{name} {shown(value)} is not one of {', '.join(allowed)}", hint)
    if error.code == errors.CUSTOM.code:
        return _at(layered, NOT_ALLOWED, path, f"{name} {error.info[0]}", "keep one of them")
    return _text_finding(layered, path, error)


def _text_finding(layered: Layered, path: Path, error: Any) -> Finding:
    name, value, constraint = dotted(path), error.value, error.constraint
    on_key = "keysrules" in error.schema_path
    if error.code == errors.REGEX_MISMATCH.code:
        what = f"key {shown(value)} of {dotted(path[:-1])}" if on_key else f"{name} {shown(value)}"
        return _at(layered, WRONG_FORM, path, f"{what} has the wrong form", _form(constraint), key=on_key)
    if error.code == errors.MAX_LENGTH.code:
        return _at(layered, WRONG_FORM, path, f"{name} has {len(value)} characters, the limit is {constraint}",
                   "shorten it")  # fmt: skip
    if error.code == errors.MIN_LENGTH.code:
        return _at(layered, WRONG_FORM, path, f"{name} is empty", "give it a value")
    if error.code == errors.EXCLUDES_FIELD.code:
        return _at(layered, NOT_ALLOWED, path, f"{name} excludes {constraint}", "keep one of the two")
    message = f"{name}: {error.rule} {shown(constraint)} does not hold for {shown(value)}"
    return _at(layered, BROKEN_CONSTRAINT, path, message, "see docs/spec.md")


_FORMS = {
    limits.NAME_PATTERN: "lower-case letters, digits and '-', first a letter, last no '-'",
    limits.NAMESPACE_PATTERN: "lower-case letters, digits and '-', first and last no '-'",
    quantity.PATTERN: "a Kubernetes quantity such as 500m, 8 or 64Gi",
    forms.IMAGE: "[registry/]name:tag or name@sha256:digest, the name in lower case",
    forms.ABSOLUTE_PATH: "an absolute path without '..'",
    forms.ENV_NAME: "letters, digits and '_', first no digit",
    forms.LABEL_KEY: "[prefix/]name with letters, digits, '-', '_', '.', at most 63 characters; the prefix a DNS name",
    forms.LABEL_VALUE: "at most 63 letters, digits, '-', '_', '.', first and last a letter or digit",
    forms.DNS_SUBDOMAIN: "lower-case letters, digits, '-' and '.', first and last a letter or digit",
    forms.FLAG: "a vLLM flag without '--', such as max-model-len",
    forms.DATE: "a day as YYYY-MM-DD",
}


def _form(pattern: str) -> str:
    return _FORMS.get(pattern, f"the form is {pattern}")


def _type_hint(types: list[str], value: object) -> str:
    if isinstance(value, str) and "：" in value:
        return "it contains a full-width colon '：' (U+FF1A): write 'key: value' with an ASCII colon and a space"
    if "boolean" in types and isinstance(value, str) and value.lower() in _YAML_11_BOOLEANS:
        return f"write {_YAML_11_BOOLEANS[value.lower()]}"
    if types == ["string"] and isinstance(value, (int, float)):
        return f'quote it: "{shown(value)}"'
    if types == ["integer"] and isinstance(value, str) and value.strip().isdigit():
        return f"write {value.strip()} without quotes"
    if types == ["integer"] and isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return f"write {int(value)}"
    return _TYPE_HINTS[types[0]] if types and value is not None else "give it a value"


def _rules(table: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The schema rules of the field at a path of the section, or the section's fields where the path leads to one."""
    rules: Mapping[str, Any] = {"type": "dict", "schema": table}
    for step in path:
        inner = rules.get("schema", rules.get("valuesrules", {}))
        rules = inner if isinstance(step, int) or "schema" not in rules else inner.get(step, {})
    fields = rules.get("schema", rules)
    return rules if path and "dict" not in rules.get("type", ()) else fields
