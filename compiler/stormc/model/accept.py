"""Accepts valid sections quickly. What it does not accept goes to Cerberus, which decides, and words the findings.

It turns the tables that Cerberus reads into closures: a valid spec, and most are valid, never imports Cerberus and is
checked in a fifth of the time (`python -m tests.bench_start`). When in doubt a value is not accepted. A test holds the
two against each other: what is accepted here is valid to Cerberus, with the same normal form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from stormc.model.forms import Schema

Accept = Callable[[Any], Any]

KEYWORDS = frozenset({
    "type", "meta", "regex", "required", "min", "max", "schema", "default", "allowed", "minlength", "maxlength",
    "keysrules", "valuesrules", "one_of", "nullable", "excludes", "default_setter",
})  # fmt: skip
"""What a table may hold; another keyword needs a line below."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "boolean": (bool,), "float": (float, int), "dict": (dict,), "list": (list,),
}  # fmt: skip


class NotAccepted(Exception):
    """Cerberus must look."""


def distributed(fields: Mapping[str, Any]) -> bool:
    """The default of distributedDp: whether there is more than one rank."""
    ranks = fields.get("dataParallel", 1)
    return isinstance(ranks, int) and ranks > 1


SETTERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"distributed_dp": distributed}


def acceptor(table: Schema) -> Accept:
    """What gives the normal form of a valid mapping with the table's fields, and raises NotAccepted for any other."""
    checks: dict[str, Accept] = {}  # each is made when its field is met first: a spec has few of them
    required = frozenset(name for name, rules in table.items() if rules.get("required"))
    defaults = [(name, rules["default"], rules.get("nullable")) for name, rules in table.items() if "default" in rules]
    setters = [(name, SETTERS[rules["default_setter"]]) for name, rules in table.items() if "default_setter" in rules]
    excluding = [(name, rules["excludes"]) for name, rules in table.items() if "excludes" in rules]

    def accept(mapping: Any) -> Any:
        if not mapping.keys() >= required:
            raise NotAccepted
        normal = dict(mapping)
        for name, default, nullable in defaults:
            if name not in normal or (normal[name] is None and not nullable):
                normal[name] = default
        for name, make in setters:
            if normal.get(name) is None:
                normal[name] = make(normal)
        for name, other in excluding:
            if name in normal and other in normal:
                raise NotAccepted
        for name, value in normal.items():
            check = checks.get(name)
            if check is None:
                if name not in table:
                    raise NotAccepted
                check = checks[name] = _value(table[name])
            normal[name] = check(value)
        return normal

    return accept


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _value(rules: Mapping[str, Any]) -> Accept:
    """What gives the normal form of one value."""
    assert rules.keys() <= KEYWORDS, rules.keys() - KEYWORDS
    names = rules["type"]
    types = {kind for name in ([names] if isinstance(names, str) else names) for kind in _TYPES[name]}
    nullable, scalar, inner = bool(rules.get("nullable")), _scalar(rules), _container(rules)

    def accept(value: Any) -> Any:
        if value is None and nullable:
            return value
        kind = type(value)
        if kind not in types:
            raise NotAccepted
        if kind is dict or kind is list:
            return inner(value)
        return scalar(value)

    return accept


def _scalar(rules: Mapping[str, Any]) -> Accept:
    pattern, allowed, low, high = (rules.get(name) for name in ("regex", "allowed", "min", "max"))
    shortest, longest = rules.get("minlength", 0), rules.get("maxlength")

    def accept(value: Any) -> Any:
        if type(value) is str:
            if len(value) < shortest or (longest is not None and len(value) > longest):
                raise NotAccepted
            if pattern is not None and not _pattern(pattern).fullmatch(value):
                raise NotAccepted
        elif (low is not None and not value >= low) or (high is not None and not value <= high):
            raise NotAccepted
        if allowed is not None and value not in allowed:
            raise NotAccepted
        return value

    return accept


def _container(rules: Mapping[str, Any]) -> Accept:
    """Mappings and lists: their length, then what is in them."""
    schema, of_key, of_value = rules.get("schema"), rules.get("keysrules"), rules.get("valuesrules")
    one_of, shortest, longest = rules.get("one_of"), rules.get("minlength", 0), rules.get("maxlength")
    is_item = schema is not None and isinstance(schema.get("type"), (str, list))
    item = _value(schema) if schema is not None and is_item else None
    fields = acceptor(schema) if schema is not None and not is_item else None
    key, value_of_key = (_value(part) if part is not None else None for part in (of_key, of_value))
    odd = any(name in rules for name in ("allowed", "min", "max"))

    def accept(value: Any) -> Any:
        if odd or len(value) < shortest or (longest is not None and len(value) > longest):
            raise NotAccepted
        if type(value) is list:
            if fields is not None:
                raise NotAccepted
            return value if item is None else [item(each) for each in value]
        if item is not None:
            raise NotAccepted
        if one_of is not None and sum(value.get(name) is not None for name in one_of) != 1:
            raise NotAccepted
        normal = value
        if key is not None:
            for name in value:
                key(name)
        if value_of_key is not None:
            normal = {name: value_of_key(each) for name, each in normal.items()}
        return fields(normal) if fields is not None else normal

    return accept
