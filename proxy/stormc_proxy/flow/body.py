"""A client's JSON body: read once, and rewritten by cutting and appending members, never by dumping it again.

The bodies for prefill and decode differ from the client's in a handful of top-level members. A prompt of a megabyte
costs milliseconds to dump, and dumping may change what it says; the text between the cuts stays as the client wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_BLANK = re.compile(r"[ \t\n\r]*")
_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*').match
_SCAN = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class BodyError(ValueError):
    """Why a body cannot be routed, for the client."""


class Body:
    """A JSON object: its members as values, and where each of them stands in the text."""

    __slots__ = ("_spans", "_text", "length", "values")

    def __init__(self, raw: bytes) -> None:
        """Raises BodyError for anything but one JSON object in UTF-8."""
        self.length = len(raw)
        self.values: dict[str, Any] = {}
        self._spans: list[tuple[str, int, int]] = []
        try:
            self._text = raw.decode()
            self._read()
        except UnicodeDecodeError:
            raise BodyError("the body is not UTF-8") from None
        except (ValueError, StopIteration, RecursionError, IndexError):
            raise BodyError("the body is not a JSON object") from None

    def _read(self) -> None:
        """Read the members one by one, with the decoder's own scanners, to know where each begins and ends."""
        text, values, spans = self._text, self.values, self._spans
        at = _past_blanks(text, 0)
        if text[at] != "{":
            raise ValueError
        at = _past_blanks(text, at + 1)
        closed = text[at] == "}"
        while not closed:
            start = at
            plain = _KEY(text, at)
            if plain is not None:
                key, at = plain.group(1), plain.end()
            else:
                key, at = _escaped_key(text, at)
            value, at = _SCAN(text, at)
            values[key] = value
            spans.append((key, start, at))
            following = text[at]
            if following not in ",}":
                at = _past_blanks(text, at)
                following = text[at]
            closed = following == "}"
            if not closed:
                if following != ",":
                    raise ValueError
                at += 2 if text[at + 1] == " " else 1
                if text[at] != '"':
                    at = _past_blanks(text, at)
        if _past_blanks(text, at + 1) != len(text):
            raise ValueError

    def members(self) -> dict[str, str]:
        """The members' JSON text as the client wrote it, their keys included."""
        text = self._text
        return {key: text[start:end] for key, start, end in self._spans}

    def rewritten(self, changes: Mapping[str, str | None]) -> bytes:
        """The body with members replaced by JSON text, or taken out where that is None. Others keep their text."""
        text = self._text
        parts = ["{"]
        kept_from, kept_to = -1, -1
        for key, start, end in self._spans:
            if key in changes:
                if kept_from >= 0:
                    parts.append(text[kept_from:kept_to])
                    parts.append(",")
                    kept_from = -1
            else:
                if kept_from < 0:
                    kept_from = start
                kept_to = end
        if kept_from >= 0:
            parts.append(text[kept_from:kept_to])
            parts.append(",")
        for key, value in changes.items():
            if value is not None:
                parts.append(f"{json.dumps(key)}:{value},")
        whole = "".join(parts)
        return (whole[:-1] if len(whole) > 1 else whole).encode() + b"}"

    def replaced(self, changes: Mapping[str, str | None]) -> Body:
        """`rewritten`, as a body."""
        return Body(self.rewritten(changes))


def _past_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None
    return found.end()


def _escaped_key(text: str, at: int) -> tuple[str, int]:
    """A key with escapes, and where its value begins."""
    if text[at] != '"':
        raise ValueError
    key, at = scanstring(text, at + 1, True)
    at = _past_blanks(text, at)
    if text[at] != ":":
        raise ValueError
    return key, _past_blanks(text, at + 1)


def dumped(value: object) -> str:
    """Compact JSON; text stays as short as the client's, unless it holds what UTF-8 cannot say."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
