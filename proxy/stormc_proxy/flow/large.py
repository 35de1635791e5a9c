"""Large bodies of JSON without their values: where each member stands, found by jumping from mark to mark.

48 MiB of token ids are ten times as much as Python numbers, and nobody here looks at one of them. What lies inside of a
large member is judged by the engine; only its ends are found here, and for text that is JSON they are the true ones.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

SMALL_BYTES = 4096
"""Members up to this size are read as values."""
_BLANK = re.compile(rb"[ \t\n\r]*")
_SCALAR = re.compile(rb"[^\s,\[\]{}\":]+")
_MARKS = b'"[]{}'
MOST_MARKS = 1_000_000
"""Brackets and texts in one member; a request with more would hold up all others while it is read."""


class Unread(NamedTuple):
    """A member that was not read: its JSON text, as part of a larger one."""

    raw: bytes
    start: int
    end: int

    @property
    def text(self) -> bytes:
        """The member's JSON."""
        return self.raw[self.start : self.end]

    @property
    def kind(self) -> str:
        """list, object or text."""
        return {b"[": "list", b"{": "object"}.get(self.raw[self.start : self.start + 1], "text")

    def read(self) -> object:
        """The value. Raises ValueError for what is no JSON inside."""
        return json.loads(self.text)

    def elements(self) -> list[Unread]:
        """Those of a list. Raises ValueError."""
        found, at = [], _past_blanks(self.raw, self.start + 1)
        while self.raw[at : at + 1] != b"]":
            end = end_of_value(self.raw, at)
            found.append(Unread(self.raw, at, end))
            at = _past_blanks(self.raw, end)
            if self.raw[at : at + 1] == b",":
                at = _past_blanks(self.raw, at + 1)
            elif self.raw[at : at + 1] != b"]":
                raise ValueError("no list")
        return found

    def first(self) -> bytes:
        """The first character inside of a list; empty when there is nothing."""
        at = _past_blanks(self.raw, self.start + 1)
        return self.raw[at : at + 1].strip(b"]")


def members_of(raw: bytes) -> list[tuple[str, int, int, object]]:
    """Key, begin of the key, end of the value, and value, if small, of every member. Raises ValueError."""
    found: list[tuple[str, int, int, object]] = []
    at = _past_blanks(raw, 0)
    if raw[at : at + 1] != b"{":
        raise ValueError("no object")
    at = _past_blanks(raw, at + 1)
    while raw[at : at + 1] != b"}" or found:
        start = at
        if raw[at : at + 1] != b'"':
            raise ValueError("no key")
        at = _end_of_text(raw, at)
        key = json.loads(raw[start:at])
        at = _past_blanks(raw, at)
        if raw[at : at + 1] != b":":
            raise ValueError("no colon")
        begin = _past_blanks(raw, at + 1)
        end = end_of_value(raw, begin)
        value = json.loads(raw[begin:end]) if end - begin <= SMALL_BYTES else Unread(raw, begin, end)
        found.append((key, start, end, value))
        at = _past_blanks(raw, end)
        if raw[at : at + 1] == b"}":
            break
        if raw[at : at + 1] != b",":
            raise ValueError("no comma")
        at = _past_blanks(raw, at + 1)
    if _past_blanks(raw, at + 1) != len(raw):
        raise ValueError("more than an object")
    return found


def end_of_value(raw: bytes, at: int) -> int:
    """Where the value that begins at `at` ends. Raises ValueError."""
    first = raw[at : at + 1]
    if first == b'"':
        return _end_of_text(raw, at)
    if first not in (b"[", b"{"):
        found = _SCALAR.match(raw, at)
        if found is None:
            raise ValueError("no value")
        return found.end()
    nexts = {mark: at if mark == raw[at] else raw.find(bytes((mark,)), at) for mark in _MARKS}
    open_ones = bytearray()
    for _ in range(MOST_MARKS):
        place, mark = min(((where, mark) for mark, where in nexts.items() if where >= 0), default=(-1, 0))
        if place < 0:
            raise ValueError("no end")
        after = place + 1
        if mark == 0x22:
            after = _end_of_text(raw, place)
        elif mark in b"[{":
            open_ones.append(mark + 2)
        elif not open_ones or open_ones.pop() != mark:
            raise ValueError("crossed brackets")
        elif not open_ones:
            return after
        for other, where in nexts.items():
            if 0 <= where < after:
                nexts[other] = raw.find(bytes((other,)), after)
    raise ValueError("too many marks")


def _end_of_text(raw: bytes, at: int) -> int:
    end = at
    for _ in range(MOST_MARKS):
        end = raw.find(b'"', end + 1)
        if end < 0:
            raise ValueError("no end")
        before = end
        while raw[before - 1] == 0x5C:
            before -= 1
        if (end - before) % 2 == 0:
            return end + 1
    raise ValueError("too many marks")


def _past_blanks(raw: bytes, at: int) -> int:
    found = _BLANK.match(raw, at)
    assert found is not None
    return found.end()
