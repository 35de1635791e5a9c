"""Pieces of CEL, in which ValidatingAdmissionPolicies are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

Rule = tuple[str, str, str]
"""The id of the finding, what is wrong, and the expression that is true where nothing is."""


def text(value: str) -> str:
    """A string literal."""
    return json.dumps(value, ensure_ascii=False)


def texts(values: Iterable[str]) -> str:
    """A list of string literals, sorted."""
    return f"[{', '.join(map(text, sorted(values)))}]"


def words(values: Iterable[str]) -> str:
    """A list of string literals in their order."""
    return f"[{', '.join(map(text, values))}]"


def matching(value: str, regex: str) -> str:
    """Whether a value matches a regular expression of RE2 somewhere."""
    return f"{value}.matches({text(regex)})"


def whole(value: str, patterns: Sequence[str]) -> str:
    """Whether a value is what one of a policy's patterns says, in which * stands for any characters."""
    return matching(value, f"^(?:{'|'.join('.*'.join(map(escaped, each.split('*'))) for each in patterns)})$")


def below(value: str, directories: Iterable[str]) -> str:
    """Whether a path is one of some directories, or lies below it."""
    return matching(value, f"^(?:{'|'.join(escaped(each.rstrip('/')) for each in directories)})(?:/|$)")


def escaped(literal: str) -> str:
    """A literal within a regular expression of RE2, which takes no escaped letters that mean nothing."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", literal)


def pods(expression: str) -> str:
    """That something holds for every pod spec `p`."""
    return f"variables.pods.all(p, {expression})"


def containers(expression: str) -> str:
    """That something holds for every container `c`."""
    return f"variables.containers.all(cs, cs.all(c, {expression}))"


def environment(expression: str) -> str:
    """That something holds for every variable `e` of every container."""
    return containers(f"c.?env.orValue([]).all(e, {expression})")


def arguments(expression: str) -> str:
    """That something holds for every argument `a` of the engines' containers; the proxy has a --config of its own."""
    inner = f"r.template.spec.containers.all(c, c.?args.orValue([]).all(a, {expression}))"
    return f'variables.roles.all(r, r.name == "routing" || {inner})'


def maybe(path: str) -> str:
    """The text at a path with `.?` in it; empty where there is none."""
    return f"{path}.orValue('')"
