"""A policy: what the platform files above an app allow, each layer within those above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from stormc.model.policy_fields import DELEGATED, LEVELS
from stormc.record import NamedTuple, Record


class Layer(NamedTuple):
    """The policy of one platform file: its directory, the file's name, and its checked fields."""

    directory: str
    file: str
    fields: Mapping[str, Any]


class Policy(Record):
    """Layers from the top down. An app is allowed what every layer allows, so a layer can only narrow.

    `top` is the topmost platform file above the app, with a policy or without: what it says nobody has to be warned
    of, whereas a file below it may lie in the directory of a team.
    """

    layers: tuple[Layer, ...] = ()
    top: str = ""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.layers)

    def covers(self, key: str) -> bool:
        """Whether a layer has the field."""
        return any(key in layer.fields for layer in self.layers)

    def settles(self, key: str) -> bool:
        """Whether the topmost platform file has the field."""
        return any(key in layer.fields for layer in self.layers if layer.file == self.top)

    def values(self, *steps: str) -> Iterator[tuple[int, Any]]:
        """The number of each layer that has a field, and what it says there."""
        for number, layer in enumerate(self.layers):
            value: Any = layer.fields
            for step in steps:
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None:
                yield number, value

    def refusing(self, value: str, *steps: str) -> int | None:
        """The first layer whose list at a field has no pattern for the value; None where all allow it."""
        return next((n for n, patterns in self.values(*steps) if not any(matches(p, value) for p in patterns)), None)

    @property
    def level(self) -> str:
        """The strictest level of pod security."""
        return max((level for _, level in self.values("podSecurity")), key=LEVELS.index, default=LEVELS[0])

    def excepts(self, spec: str, rule: str, number: int | None) -> bool:
        """Whether an exception allows a finding on a spec: one of the layer that forbids it, or of a layer above.

        What no single layer forbids, number None, only the topmost platform file excepts.
        """
        last = next((n for n, layer in enumerate(self.layers) if layer.file == self.top), -1)
        return any(
            entry["rule"] == rule and matches(entry["spec"], spec)
            for layer, entries in self.values("exceptions") if layer <= (last if number is None else number)
            for entry in entries
        )  # fmt: skip

    @property
    def delegated(self) -> frozenset[str]:
        """The fields that a platform file below these layers may set besides a policy of its own."""
        allowed = [frozenset(layer.fields.get("delegate", DELEGATED)) for layer in self.layers]
        return frozenset.intersection(*allowed) if allowed else frozenset()


NO_POLICY = Policy()


def matches(pattern: str, value: str) -> bool:
    """Whether a value is what a pattern says, in which * stands for any characters."""
    first, *others = pattern.split("*")
    if not others:
        return value == first
    *inner, last = others
    at, end = len(first), len(value) - len(last)
    if at > end or not value.startswith(first) or not value.endswith(last):
        return False
    for part in inner:
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


@lru_cache(maxsize=512)
def _compiled(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(".*".join(map(re.escape, each.split("*"))) for each in patterns), re.DOTALL)


def matches_any(patterns: tuple[str, ...], value: str) -> bool:
    """Whether a value is what one of many patterns says; they are compiled as one."""
    return _compiled(*patterns).fullmatch(value) is not None


def begins(prefix: str, name: str) -> bool:
    """Whether an image's name lies below a prefix: `registry.example.com` is not `registry.example.com.evil`."""
    return name.startswith(prefix) and (
        prefix[-1] in "/:@" or name[len(prefix) : len(prefix) + 1] in ("", "/", ":", "@")
    )


def below(directory: str, path: str) -> bool:
    """Whether a path of a node is a directory, or lies below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")
