"""Changing single fields in a spec that people maintain."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.tokens import CommentToken
from ruamel.yaml.util import load_yaml_guess_indent

from stormc.failure import Failure
from stormc.finding import Path
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.text.roundtrip import dumped, round_trip

ABSENT = object()


class Change(NamedTuple):
    """A field to be set to a value, or taken out where the value is ABSENT."""

    path: Path
    value: object


def rewritten(text: str, changes: list[Change]) -> str:
    """The spec's text with the changes made; comments, order and quotes of everything else stay.

    Raises Failure for a text that ruamel cannot read, such as one with a tab after a colon.
    """
    try:
        _, indent, offset = load_yaml_guess_indent(text)
        yaml = round_trip(sequence=indent or 4, offset=offset if offset is not None else 2)
        document = yaml.load(text)
    except (YAMLError, IndexError) as error:
        problem = str(getattr(error, "problem", None) or error).split("\n")[0]
        raise Failure(
            phrase("the layout of the spec cannot be kept ({problem}): make the change by hand", problem=problem)
        ) from None
    for path, value in changes:
        _change(document, path, value)
    return dumped(document, yaml)


def _change(node: CommentedMap, path: Path, value: object) -> None:
    key, rest = path[0], path[1:]
    if value is ABSENT and (not rest or (len(rest) == 1 and list(node[key]) == [rest[0]])):
        _remove(node, key)  # with its last field a mapping goes too: an empty one means the same
    elif rest and isinstance(node.get(key), CommentedMap):
        _change(node[key], rest, value)
    else:
        for step in reversed(rest):
            value = {step: value}
        _set(node, key, _node(value))


def _node(value: object) -> object:
    """A plain value as ruamel keeps it, so that comments find their place behind it."""
    if isinstance(value, dict):
        return CommentedMap({key: _node(item) for key, item in value.items()})
    if isinstance(value, list):
        return CommentedSeq(map(_node, value))
    return value


class _Slot(NamedTuple):
    """Where ruamel keeps the comments that follow a value: with the last scalar in it."""

    node: Any
    key: Any
    place: int

    def token(self) -> CommentToken | None:
        token: CommentToken | None = (self.node.ca.items.get(self.key) or [None] * 4)[self.place]
        return token

    def text(self) -> str:
        token = self.token()
        return token.value if token else ""

    def put(self, text: str) -> None:
        """Replaces the comments; what stands beside the value keeps its column."""
        old = self.token()
        mark = old.start_mark if old else CommentMark(0)
        tokens = self.node.ca.items.setdefault(self.key, [None] * 4)
        tokens[self.place] = CommentToken(text, mark, None) if text else None

    def take_lines(self) -> str:
        """Takes away the lines after that of the value; what stands behind the value on its own line stays."""
        beside, _, lines = self.text().partition("\n")
        if lines:
            self.put(f"{beside}\n" if beside else "")
        return lines

    def add_lines(self, lines: str) -> None:
        if lines:
            self.put((self.text() or "\n") + lines)


def _slot(node: Any, key: Any) -> _Slot:
    value = node[key]
    if isinstance(value, CommentedMap | CommentedSeq) and value and not value.fa.flow_style():
        return _slot(value, list(value)[-1] if isinstance(value, CommentedMap) else len(value) - 1)
    return _Slot(node, key, 2 if isinstance(node, CommentedMap) else 0)


def _set(parent: CommentedMap, key: Any, value: object) -> None:
    """Sets a key; a new one comes last, before the comments that lead to what follows the mapping."""
    last = key if key in parent else next(reversed(parent), None)
    lines = _slot(parent, last).take_lines() if last is not None else ""
    parent[key] = value
    _slot(parent, key).add_lines(lines)


def _remove(parent: CommentedMap, key: Any) -> None:
    """Takes a key out with the comment beside it; comment lines below it stay where they are."""
    lines = _slot(parent, key).take_lines()
    keys = list(parent)
    at = keys.index(key)
    del parent[key]
    parent.ca.items.pop(key, None)
    if at > 0:
        _slot(parent, keys[at - 1]).add_lines(lines)
    elif lines and len(keys) > 1:
        mark = CommentMark(parent.lc.col)
        above = [CommentToken(f"{line.lstrip()}\n", mark, None) for line in lines.splitlines()]
        parent.ca.items.setdefault(keys[1], [None] * 4)[1] = above
