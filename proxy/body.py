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
        text = self._text
        blank = _BLANK.match
        at = blank(text, 0).end()  # type: ignore[union-attr]
        if text[at] != "{":
            raise ValueError
        at = blank(text, at + 1).end()  # type: ignore[union-attr]
        closed = text[at] == "}"
        while not closed:
            start = at
            if text[at] != '"':
                raise ValueError
            key, at = scanstring(text, at + 1, True)
            if text[at] != ":":
                at = blank(text, at).end()  # type: ignore[union-attr]
                if text[at] != ":":
                    raise ValueError
            at = blank(text, at + 1).end()  # type: ignore[union-attr]
            value, at = _SCAN(text, at)
            self.values[key] = value
            self._spans.append((key, start, at))
            at = blank(text, at).end()  # type: ignore[union-attr]
            closed = text[at] == "}"
            if not closed:
                if text[at] != ",":
                    raise ValueError
                at = blank(text, at + 1).end()  # type: ignore[union-attr]
        if blank(text, at + 1).end() != len(text):  # type: ignore[union-attr]
            raise ValueError

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


def dumped(value: object) -> str:
    """Compact JSON; text stays as short as the client's, unless it holds what UTF-8 cannot say."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
