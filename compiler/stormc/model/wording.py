"""Puts Cerberus' errors into words: every error becomes a finding on the user's line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cerberus import errors

from stormc.facts import limits
from stormc.finding import MOST_GUESSES, Finding, Path, closest, did_you_mean, dotted, shown
from stormc.model import forms, quantity, schema
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
from stormc.model.misplaced import hint_for, name_meant
from stormc.model.tables import TABLES
from stormc.model.validator import validator
from stormc.phrase import NONE, Phrase, described, either, listed, phrase, verbatim

_NOUNS = {
    "integer": phrase("an integer"),
    "string": phrase("a string"),
    "boolean": phrase("true or false"),
    "dict": phrase("a mapping"),
    "list": phrase("a list"),
    "float": phrase("a number"),
}


_TYPE_HINTS = {
    "integer": phrase("write a whole number"),
    "string": phrase("write a text"),
    "boolean": phrase("write true or false"),
    "dict": phrase("write its fields below it, indented"),
    "list": phrase("write one '- item' per line"),
    "float": phrase("write a number"),
}


_EXAMPLES = {
    "name": "my-service",
    "image": "quay.io/ascend/vllm-ascend:v0.23.0-a3",
    "hardware": "atlas-900-a3-superpod",
    "model": "{name: my-model, path: /mnt/models/my-model}",
    "prefill": "{dataParallel: 2, tensorParallel: 8}",
    "decode": "{dataParallel: 16}",
}
"""What may stand in required fields of an app."""


_SYNONYMS = {"amd64": "x86", "x86_64": "x86", "arm64": "arm", "aarch64": "arm"}
"""Other words for what a field takes: kubernetes.io/arch and uname."""

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
    """A finding for each of Cerberus' errors; `prefix` is the path of the section in the spec."""
    for number, error in enumerate(problems):
        if error.code == errors.EXCLUDES_FIELD.code and error.constraint < error.document_path[-1]:
            continue  # the other of the two says the same
        if error.is_group_error and error.child_errors:
            yield from findings_of(layered, section, prefix, error.child_errors)
        else:
            yield _finding(layered, TABLES[section], prefix, error, guess=number < MOST_GUESSES)


def _finding(layered: Layered, table: forms.Schema, prefix: Path, error: Any, guess: bool) -> Finding:
    path: Path = (*prefix, *error.document_path)
    name, value, constraint = dotted(path), error.value, error.constraint
    rules = _rules(table, error.document_path)
    if error.code == errors.UNKNOWN_FIELD.code:
        of_app = any(table is known for known in OF_APPS)
        return _unknown(layered, path, _rules(table, error.document_path[:-1]), guess, of_app)
    if error.code == errors.REQUIRED_FIELD.code:
        return finding_at(layered, MISSING, path, phrase("{name} is missing", name=name), _added(path, rules))
    if error.code in (errors.BAD_TYPE.code, errors.NOT_NULLABLE.code):
        types = [constraint] if isinstance(constraint, str) else constraint if isinstance(constraint, list) else []
        types_in_words = _one_of([_NOUNS.get(name, name) for name in types]) if types else phrase("set")
        return finding_at(layered, WRONG_TYPE, path,
                          phrase("{name} must be {wanted}, got {value}", name=name, wanted=types_in_words,
                                 value=shown(value)),
                          _type_hint(rules, types, value, path))  # fmt: skip
    if error.code in (errors.MIN_VALUE.code, errors.MAX_VALUE.code):
        low, high = rules.get("min", constraint), rules.get("max")
        below = error.code == errors.MIN_VALUE.code
        hint = phrase("at least {low}", low=low) if below else phrase("at most {high}", high=high)
        wrong = phrase("below {low}", low=low) if high is None else phrase("outside {low}…{high}", low=low, high=high)
        return finding_at(layered, OUT_OF_RANGE, path,
                          phrase("{name} {value} is {wrong}", name=name, value=shown(value), wrong=wrong),
                          hint)  # fmt: skip
    if error.code in (errors.UNALLOWED_VALUE.code, errors.UNALLOWED_VALUES.code):
        allowed = [str(a) for a in constraint]
        meant = closest(_SYNONYMS.get(str(value), str(value)), allowed)
        hint = phrase("did you mean {meant}?", meant=meant) if meant else NONE
        return finding_at(layered, NOT_ALLOWED, path, phrase("{name} {value} is not one of {allowed}", name=name,
                                                             value=shown(value), allowed=", ".join(allowed)),
                          hint)  # fmt: skip
    if error.code == errors.CUSTOM.code:
        return finding_at(layered, NOT_ALLOWED, path, phrase("{name} {info}", name=name, info=error.info[0]),
                          phrase("write exactly one of them"))  # fmt: skip
    return _text_finding(layered, path, error)


def _added(path: Path, rules: Mapping[str, Any]) -> Phrase:
    """What to write where a required field is missing."""
    only = rules.get("allowed", ())
    example = only[0] if len(only) == 1 else _EXAMPLES.get(dotted(path))
    if example is not None:
        return phrase("write {path}: {only}", path=path[-1], only=example)
    meaning: str = rules.get("meta", {}).get("description", "")
    return phrase("add {path}: {meaning}", path=path[-1], meaning=described(meaning))


def _unknown(layered: Layered, path: Path, known: Mapping[str, Any], guess: bool, of_app: bool) -> Finding:
    word = str(path[-1]).split("：")[0]
    elsewhere = _spaced(word) or (hint_for(path) if guess and of_app else NONE)
    hint = elsewhere or (did_you_mean(word, known) if guess else NONE) or _all(known)
    unknown = finding_at(layered, UNKNOWN_KEY, path, phrase("unknown key {name}", name=dotted(path)), hint, key=True)
    meant = name_meant(path) if of_app else None
    return unknown._replace(meant=meant or (closest(word, known) if guess and not elsewhere else None))


def _spaced(key: str) -> Phrase:
    """What was meant by `{port:8000}`, which is a key without a value."""
    name, colon, value = key.partition(":")
    return phrase("write a space after the colon: {key}: {value}", key=name, value=value) if colon and value else NONE


def _all(known: Mapping[str, Any]) -> Phrase:
    """The fields that may stand where an unknown one does."""
    return phrase("the fields here are {names}", names=", ".join(known)) if known else phrase("take it out")


def _text_finding(layered: Layered, path: Path, error: Any) -> Finding:
    name, value, constraint = dotted(path), error.value, error.constraint
    on_key = "keysrules" in error.schema_path
    if error.code == errors.REGEX_MISMATCH.code:
        what = (
            phrase("key {key} of {path}", key=shown(value), path=dotted(path[:-1]))
            if on_key
            else verbatim(f"{name} {shown(value)}")
        )
        hint = (_spaced(str(value)) if on_key else NONE) or _form(constraint, value)
        message = phrase("{what} has the wrong form", what=what)
        return finding_at(layered, WRONG_FORM, path, message, hint, key=on_key)
    if error.code == errors.MAX_LENGTH.code:
        return finding_at(layered, WRONG_FORM, path, phrase("{name} has {length} characters, the limit is {constraint}",
                                                            name=name, length=len(value), constraint=constraint),
                          phrase("shorten it"))  # fmt: skip
    if error.code == errors.MIN_LENGTH.code:
        return finding_at(layered, WRONG_FORM, path, phrase("{name} is empty", name=name), phrase("give it a value"))
    if error.code == errors.EXCLUDES_FIELD.code:
        return finding_at(layered, NOT_ALLOWED, path,
                          phrase("{name} excludes {constraint}", name=name, constraint=constraint),
                          phrase("keep one of the two"))  # fmt: skip
    message = phrase("{name}: {rule} {constraint} does not hold for {value}", name=name, rule=error.rule,
                     constraint=shown(constraint), value=shown(value))  # fmt: skip
    return finding_at(layered, BROKEN_CONSTRAINT, path, message, phrase("see docs/spec.md"))


_FORMS = {
    limits.NAME_PATTERN: phrase("lower-case letters, digits and '-', first a letter, last no '-'"),
    limits.NAMESPACE_PATTERN: phrase("lower-case letters, digits and '-', first and last no '-'"),
    quantity.PATTERN: phrase("a Kubernetes quantity such as 500m, 8 or 64Gi"),
    forms.IMAGE: phrase("[registry/]name:tag or name@sha256:digest, the name in lower case"),
    forms.ABSOLUTE_PATH: phrase("an absolute path without '..'"),
    forms.ENV_NAME: phrase("letters, digits and '_', first no digit"),
    forms.LABEL_KEY: phrase(
        "[prefix/]name with letters, digits, '-', '_', '.', at most 63 characters; the prefix a DNS name"
    ),
    forms.LABEL_VALUE: phrase("at most 63 letters, digits, '-', '_', '.', first and last a letter or digit"),
    forms.DNS_SUBDOMAIN: phrase("lower-case letters, digits, '-' and '.', first and last a letter or digit"),
    forms.FLAG: phrase("a vLLM flag without '--', such as max-model-len"),
    forms.TARGET: phrase(
        "StormService, Service, ConfigMap, PodDisruptionBudget or NetworkPolicy, or KIND/NAME for one of several"
    ),
    forms.DATE: phrase("a day as YYYY-MM-DD"),
    forms.MODEL_NAME: phrase("a name without spaces"),
    forms.CONNECTOR: phrase("letters, digits and '_', first a letter, such as MooncakeConnectorV1"),
    forms.RELEASE: phrase("a release line, such as 0.23"),
    forms.GIT_URL: phrase("an address that begins with https:// or ssh://"),
    forms.GIT_URL_OR_SCP: phrase("https://…, ssh://… or git@host:path"),
    forms.SERVER: phrase("an address that begins with https://"),
    forms.NAMESPACES: phrase("a namespace, with '*' for any part of it"),
    forms.PROJECT: phrase("lower-case letters, digits and '-', first and last no '-', and not 'default'"),
    forms.REVISION: phrase("a branch or a tag of Git"),
    forms.REPOSITORY_PATH: phrase("a directory of the repository, without '..' and without '/' in front"),
    forms.POLICY_RULE: phrase("the id of a finding of the policy, such as E804"),
}


def _type_hint(rules: Mapping[str, Any], types: list[str], value: object, path: Path) -> Phrase:
    """What to write: one of the allowed words, or the value in the right type."""
    allowed = [str(word) for word in rules.get("allowed", ())]
    return (
        type_hint(types, value, path) if str(value) in allowed else _choices(allowed) or type_hint(types, value, path)
    )


def _choices(allowed: Iterable[object]) -> Phrase:
    names = [str(name) for name in allowed]
    return phrase("write {names}", names=either(names)) if names else NONE


def _form(pattern: str, value: object = "") -> Phrase:
    if pattern == quantity.PATTERN and (amount := re.fullmatch(r"([0-9.]+)\s*([KkMGTP])i?[Bb]?", str(value))):
        return phrase("write {binary} or {decimal}", binary=f"{amount[1]}{amount[2].upper()}i",
                      decimal=f"{amount[1]}{amount[2].replace('K', 'k')}")  # fmt: skip
    return _FORMS[pattern]


OF_APPS = [schema.APP, *schema.SECTIONS.values()]
"""The tables of whose fields it is known where else they may stand."""
_SHAPES = {
    "env": phrase('a mapping, such as HCCL_BUFFSIZE: "1024"'),
    "engineArgs": phrase("a mapping, such as max-num-seqs: 64"),
    "args": phrase("a mapping, such as max-num-seqs: 64"),
    "patch": phrase("a strategic merge patch, such as {{spec: {{…}}}}; a list of operations is a JSON patch"),
    "inventory": phrase("a mapping, such as atlas-900-a3-superpod: {{nodes: 4}}"),
    "persistentVolumeClaim": phrase("the claim's name, such as persistentVolumeClaim: weights"),
    "imagePullSecrets": phrase("names, such as imagePullSecrets: [registry]"),
}


def type_hint(types: list[str], value: object, path: Path = ()) -> Phrase:
    """What to write instead of a value of the wrong type."""
    place = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    if isinstance(value, (list, dict)) and place in _SHAPES:
        return phrase("write {shape}", shape=_SHAPES[place])
    if isinstance(value, bool) and "string" in types:
        return phrase('quote it: "{value}"', value=shown(value))
    if isinstance(value, float) and place == "cpu" and 0 < value < 1e6:
        return phrase("write {value}m", value=round(value * 1000))
    if isinstance(value, float) and "string" in types:
        return phrase('quote it: "{value}"', value=value)
    if types == ["integer"] and isinstance(value, str) and value.strip().isdigit() and not value.isascii():
        return phrase("write {value}", value=int(value))
    if types == ["list"] and isinstance(value, str) and value and "：" not in value:
        return phrase("write a list: [{value}]", value=value)
    if isinstance(value, str) and "：" in value:
        return phrase(
            "it contains a full-width colon '：' (U+FF1A): write 'key: value' with an ASCII colon and a space"
        )
    if "boolean" in types and isinstance(value, str) and value.lower() in _YAML_11_BOOLEANS:
        return phrase("write {value}", value=_YAML_11_BOOLEANS[value.lower()])
    if types == ["boolean"] and isinstance(value, str) and value.lower() in ("true", "false"):
        return phrase("write {value} without quotes", value=value.lower())
    if types == ["string"] and isinstance(value, (int, float)):
        return phrase('quote it: "{value}"', value=shown(value))
    if types == ["integer"] and isinstance(value, str) and value.strip().isdigit():
        return phrase("write {value} without quotes", value=value.strip())
    if types == ["integer"] and isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return phrase("write {value}", value=int(value))
    return _TYPE_HINTS[types[0]] if types and value is not None else phrase("give it a value")


def _one_of(nouns: list[str]) -> Phrase:
    """`a, b or c`."""
    return either([listed(nouns[:-1]), nouns[-1]]) if len(nouns) > 2 else either(nouns)


def _rules(table: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The schema rules of the field at a path of the section, or the section's fields where the path leads to one."""
    rules: Mapping[str, Any] = {"type": "dict", "schema": table}
    for step in path:
        inner = rules.get("schema", rules.get("valuesrules", {}))
        rules = inner if isinstance(step, int) or "schema" not in rules else inner.get(step, {})
    fields = rules.get("schema", rules)
    return rules if path and "dict" not in rules.get("type", ()) else fields
