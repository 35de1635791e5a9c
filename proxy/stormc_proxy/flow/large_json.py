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
_MARKS = (0x22, 0x5B, 0x5D, 0x7B, 0x7D)
"""A quote and the brackets."""
MOST_MARKS, MOST_QUOTES, MOST_MEMBERS = 250_000, 1_000_000, 10_000
"""Brackets and texts in one body, quotes in one text, members of a body; more would hold up all other requests."""


class TooMany(ValueError):
    """A body has more marks or members than are read."""


class Unread(NamedTuple):
    """A member that was not read: its JSON text, as part of a larger one."""

    raw: bytes
    start: int
    end: int

    @property
    def text(self) -> bytes:
        """The member's JSON text."""
        return self.raw[self.start : self.end]

    @property
    def kind(self) -> str:
        """What it is: list, object or text."""
        return {b"[": "list", b"{": "object"}.get(self.raw[self.start : self.start + 1], "text")

    def read(self) -> object:
        """The value. Raises ValueError for what is no JSON inside."""
        return json.loads(self.text)

    def elements(self) -> list[Unread]:
        """The elements of a list. Raises ValueError for what is no list."""
        elements, at, scan = [], _past_blanks(self.raw, self.start + 1), Scan(self.raw)
        while self.raw[at : at + 1] != b"]":
            end = scan.end_of_value(at)
            elements.append(Unread(self.raw, at, end))
            at = _past_blanks(self.raw, end)
            if self.raw[at : at + 1] == b",":
                at = _past_blanks(self.raw, at + 1)
            elif self.raw[at : at + 1] != b"]":
                raise ValueError("no list")
        return elements

    def first(self) -> bytes:
        """The first character inside of a list; empty when there is nothing."""
        at = _past_blanks(self.raw, self.start + 1)
        return self.raw[at : at + 1].strip(b"]")


def members_of(raw: bytes) -> list[tuple[str, int, int, object]]:
    """Key, begin of the key, end of the value, and value, if small, of every member. Raises ValueError."""
    members: list[tuple[str, int, int, object]] = []
    at, scan = _past_blanks(raw, 0), Scan(raw)
    if raw[at : at + 1] != b"{":
        raise ValueError("no object")
    at = _past_blanks(raw, at + 1)
    while raw[at : at + 1] != b"}" or members:
        start = at
        if raw[at : at + 1] != b'"':
            raise ValueError("no key")
        at = _end_of_text(raw, at)
        key = json.loads(raw[start:at])
        at = _past_blanks(raw, at)
        if raw[at : at + 1] != b":":
            raise ValueError("no colon")
        begin = _past_blanks(raw, at + 1)
        end = scan.end_of_value(begin)
        value = json.loads(raw[begin:end]) if end - begin <= SMALL_BYTES else Unread(raw, begin, end)
        members.append((key, start, end, value))
        at = _past_blanks(raw, end)
        if raw[at : at + 1] == b"}":
            break
        if raw[at : at + 1] != b",":
            raise ValueError("no comma")
        if len(members) >= MOST_MEMBERS:
            raise TooMany
        at = _past_blanks(raw, at + 1)
    if _past_blanks(raw, at + 1) != len(raw):
        raise ValueError("more than an object")
    return members


class Scan:
    """Finds where values end, forwards only: where the next mark of a kind stands is remembered from value to value.

    So no byte is looked at twice for the same mark, however many values there are.
    """

    def __init__(self, raw: bytes) -> None:
        """Begins at the first byte."""
        self._raw, self._left = raw, MOST_MARKS
        self._nexts = dict.fromkeys(_MARKS, -1)

    def end_of_value(self, at: int) -> int:
        """Where the value that begins at `at` ends. Raises ValueError."""
        raw = self._raw
        first = raw[at : at + 1]
        if first == b'"':
            return _end_of_text(raw, at)
        if first not in (b"[", b"{"):
            scalar = _SCALAR.match(raw, at)
            if scalar is None:
                raise ValueError("no value")
            return scalar.end()
        open_ones = bytearray()
        while True:
            place, mark = self._next(at)
            at = place + 1
            if mark == 0x22:
                at = _end_of_text(raw, place)
            elif mark in b"[{":
                open_ones.append(mark + 2)
            elif not open_ones or open_ones.pop() != mark:
                raise ValueError("crossed brackets")
            elif not open_ones:
                return at

    def _next(self, at: int) -> tuple[int, int]:
        """Where the next mark stands, and which it is. Raises ValueError."""
        raw, nexts = self._raw, self._nexts
        self._left -= 1
        if not self._left:
            raise TooMany
        first, next_mark = len(raw), 0
        for mark, where in nexts.items():
            if where < at:
                where = raw.find(mark, at)
                nexts[mark] = where = where if where >= 0 else len(raw)
            if where < first:
                first, next_mark = where, mark
        if not next_mark:
            raise ValueError("no end")
        return first, next_mark


def _end_of_text(raw: bytes, at: int) -> int:
    end = at
    for _ in range(MOST_QUOTES):
        end = raw.find(b'"', end + 1)
        if end < 0:
            raise ValueError("no end")
        before = end
        while raw[before - 1] == 0x5C:
            before -= 1
        if (end - before) % 2 == 0:
            return end + 1
    raise TooMany


def _past_blanks(raw: bytes, at: int) -> int:
    blanks = _BLANK.match(raw, at)
    assert blanks is not None
    return blanks.end()
