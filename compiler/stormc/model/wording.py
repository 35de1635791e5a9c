"""What Cerberus found, in words: every error a finding on the user's line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cerberus import errors

from stormc.facts import limits
from stormc.finding import Finding, Path, closest, did_you_mean, dotted, shown
from stormc.model import field as forms
from stormc.model import quantity, schema
from stormc.model.checks import (
    BROKEN_CONSTRAINT,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    UNKNOWN_KEY,
    WRONG_FORM,
    WRONG_TYPE,
)
from stormc.model.layers import Layered, finding_at
from stormc.model.misplaced import hint_for
from stormc.model.tables import TABLES
from stormc.model.validator import validator

_NOUNS = {
    "integer": "an integer", "string": "a string", "boolean": "true or false", "dict": "a mapping", "list": "a list",
    "float": "a number",
}  # fmt: skip


_TYPE_HINTS = {
    "integer": "write a whole number", "string": "write a text", "boolean": "write true or false",
    "dict": "write its fields below it, indented", "list": "write one '- item' per line", "float": "write a number",
}  # fmt: skip


_YAML_11_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def judge(layered: Layered, section: str, at: Path, value: Mapping[str, Any]) -> tuple[Any, list[Finding]]:
    """The normal form of a section, or Cerberus' errors as findings."""
    judging = validator(section)
    if judging.validate(value):
        return judging.document, []
    return None, list(findings_of(layered, section, at, judging._errors))


def judge_part(layered: Layered, section: str, at: Path, value: Mapping[str, Any]) -> list[Finding]:
    """As `judge`, for fields of which others may be missing."""
    judging = validator(section)
    judging.validate(value, update=True, normalize=False)
    return list(findings_of(layered, section, at, judging._errors))


def findings_of(layered: Layered, section: str, prefix: Path, problems: Iterable[Any]) -> Iterator[Finding]:
    for number, error in enumerate(problems):
        if error.is_group_error and error.child_errors:
            yield from findings_of(layered, section, prefix, error.child_errors)
        else:
            yield _finding(layered, TABLES[section], prefix, error, guess=number < MOST_GUESSES)


MOST_GUESSES = 20
"""Unknown keys of a mapping whose meaning is guessed; with more the file is something else, and each takes a while."""


def _finding(layered: Layered, table: forms.Schema, prefix: Path, error: Any, guess: bool) -> Finding:
    path: Path = (*prefix, *error.document_path)
    name, value, constraint = dotted(path), error.value, error.constraint
    rules = _rules(table, error.document_path)
    if error.code == errors.UNKNOWN_FIELD.code:
        known = _rules(table, error.document_path[:-1])
        word = str(path[-1]).split("：")[0]
        elsewhere = hint_for(path) if guess and any(table is known_table for known_table in OF_APPS) else ""
        hint = elsewhere or (did_you_mean(word, known) if guess else "")
        unknown = finding_at(
            layered, UNKNOWN_KEY, path, f"unknown key {name}", hint or "docs/spec.md has all fields", key=True
        )
        return unknown._replace(meant=closest(word, known) if guess and not elsewhere else None)
    if error.code == errors.REQUIRED_FIELD.code:
        meaning: str = rules.get("meta", {}).get("description", "")
        only = rules.get("allowed", ())
        return finding_at(layered, MISSING, path, f"{name} is missing",
                          f"write {path[-1]}: {only[0]}" if len(only) == 1 else meaning.rstrip("."))  # fmt: skip
    if error.code in (errors.BAD_TYPE.code, errors.NOT_NULLABLE.code):
        types = [constraint] if isinstance(constraint, str) else constraint if isinstance(constraint, list) else []
        wanted = " or ".join(_NOUNS.get(t, t) for t in types) or "set"
        return finding_at(
            layered, WRONG_TYPE, path, f"{name} must be {wanted}, got {shown(value)}", type_hint(types, value, path)
        )
    if error.code in (errors.MIN_VALUE.code, errors.MAX_VALUE.code):
        low, high = rules.get("min", constraint), rules.get("max")
        hint = f"at least {low}" if error.code == errors.MIN_VALUE.code else f"at most {high}"
        wrong = f"below {low}" if high is None else f"outside {low}…{high}"
        return finding_at(layered, OUT_OF_RANGE, path, f"{name} {shown(value)} is {wrong}", hint)
    if error.code in (errors.UNALLOWED_VALUE.code, errors.UNALLOWED_VALUES.code):
        allowed = [str(a) for a in constraint]
        hint = did_you_mean(str(value), allowed)
        return finding_at(layered, NOT_ALLOWED, path, f"{name} {shown(value)} is not one of {', '.join(allowed)}", hint)
    if error.code == errors.CUSTOM.code:
        return finding_at(layered, NOT_ALLOWED, path, f"{name} {error.info[0]}", "keep one of them")
    return _text_finding(layered, path, error)


def _text_finding(layered: Layered, path: Path, error: Any) -> Finding:
    name, value, constraint = dotted(path), error.value, error.constraint
    on_key = "keysrules" in error.schema_path
    if error.code == errors.REGEX_MISMATCH.code:
        what = f"key {shown(value)} of {dotted(path[:-1])}" if on_key else f"{name} {shown(value)}"
        return finding_at(layered, WRONG_FORM, path, f"{what} has the wrong form", _form(constraint), key=on_key)
    if error.code == errors.MAX_LENGTH.code:
        return finding_at(layered, WRONG_FORM, path, f"{name} has {len(value)} characters, the limit is {constraint}",
                   "shorten it")  # fmt: skip
    if error.code == errors.MIN_LENGTH.code:
        return finding_at(layered, WRONG_FORM, path, f"{name} is empty", "give it a value")
    if error.code == errors.EXCLUDES_FIELD.code:
        return finding_at(layered, NOT_ALLOWED, path, f"{name} excludes {constraint}", "keep one of the two")
    message = f"{name}: {error.rule} {shown(constraint)} does not hold for {shown(value)}"
    return finding_at(layered, BROKEN_CONSTRAINT, path, message, "see docs/spec.md")


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


OF_APPS = [schema.APP, *schema.SECTIONS.values()]
"""The tables of whose fields it is known where else they may stand."""
_SHAPES = {
    "env": 'a mapping, such as HCCL_BUFFSIZE: "1024"', "engineArgs": "a mapping, such as max-num-seqs: 64",
    "args": "a mapping, such as max-num-seqs: 64",
    "patch": "a strategic merge patch, such as {spec: {…}}; a list of operations is a JSON patch",
    "persistentVolumeClaim": "the claim's name, such as persistentVolumeClaim: weights",
    "imagePullSecrets": "names, such as imagePullSecrets: [registry]",
}  # fmt: skip


def type_hint(types: list[str], value: object, path: Path = ()) -> str:
    """What to write instead of a value of the wrong type."""
    place = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    if isinstance(value, (list, dict)) and place in _SHAPES:
        return f"write {_SHAPES[place]}"
    if isinstance(value, bool) and "string" in types:
        return f'quote it: "{shown(value)}"'
    if isinstance(value, float) and place == "cpu" and value > 0:
        return f"write {round(value * 1000)}m"
    if isinstance(value, float) and "string" in types:
        return f'quote it: "{value}"'
    if types == ["integer"] and isinstance(value, str) and value.strip().isdigit() and not value.isascii():
        return f"write {int(value)}"
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
