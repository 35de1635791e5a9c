"""A client's JSON body: read once, and rewritten by cutting and appending members, never by dumping it again.

The bodies for prefill and decode differ from the client's in a handful of top-level members. A prompt of a megabyte
costs milliseconds to dump, and dumping may change what it says; the text between the cuts stays as the client wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from typing import Any

from stormc_proxy.flow.large_json import SMALL_BYTES, TooMany, Unread, members_of
from stormc_proxy.http.request_writer import Pieces

LARGE_BYTES = 1024 * 1024
"""Of a body beyond this size only small members are read as values."""
MOST_VALUE_BYTES = 32 * 1024
"""Lists and objects beyond this size are read, to know that they are JSON, but only their text is kept."""
COMPARED_BYTES = 4 * 1024 * 1024
"""Part of a member's text, from its beginning, that is compared with other prompts."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_CHUNKS = c_make_encoder(None, _COMPACT.default, encode_basestring, None, ":", ",", False, False, True)
"""What `_COMPACT.encode` makes anew for each value."""
_NAME = json.encoder.encode_basestring_ascii
_BLANK = re.compile(r"[ \t\n\r]*")
_OPENING = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*").match
_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*').match
_NEXT_KEY = re.compile(r'[ \t\n\r]*,[ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*').match
_SCAN = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class BodyError(ValueError):
    """Why a body cannot be routed, for the client."""


class Body:
    """A JSON object: its members as values, and where each of them stands in the text."""

    __slots__ = ("_changes", "_raw", "_spans", "_text", "length", "values")

    def __init__(self, raw: bytes) -> None:
        """Raises BodyError for anything but one JSON object in UTF-8."""
        self.length = len(raw)
        self.values: dict[str, Any] = {}
        self._changes: dict[str, str | None] = {}
        self._spans: list[tuple[str, int, int]] = []
        self._text, self._raw = "", b""
        try:
            if len(raw) > LARGE_BYTES:
                self._raw = raw
                self._read_large()
            else:
                self._text = raw.decode()
                self._read()
        except UnicodeDecodeError:
            raise BodyError("the body is not UTF-8") from None
        except TooMany:
            raise BodyError("the body has more lists, objects and texts than are read") from None
        except (ValueError, StopIteration, RecursionError, IndexError):
            raise BodyError("the body is not a JSON object") from None

    def _read_large(self) -> None:
        for key, start, end, value in members_of(self._raw):
            self.values[key] = value
            self._spans.append((key, start, end))

    def value(self, key: str) -> Any:
        """A member's value, read now if it was not before; None if there is none. Raises BodyError."""
        value = self.values.get(key)
        if not isinstance(value, Unread):
            return value
        try:
            return value.read()
        except (ValueError, RecursionError):
            raise BodyError(f"{key} is not JSON") from None

    def is_list(self, key: str) -> bool:
        """Whether a member is a list with something in it."""
        value = self.values.get(key)
        if isinstance(value, Unread):
            return value.kind == "list" and value.first() != b""
        return isinstance(value, list) and bool(value)

    def elements(self, key: str) -> list[str | Unread]:
        """The JSON of each element of a member that is a list. Raises BodyError."""
        value = self.values[key]
        if not isinstance(value, Unread):
            return [dumped(element) for element in value]
        try:
            return list(value.elements())
        except ValueError:
            raise BodyError(f"{key} is not JSON") from None

    def _read(self) -> None:
        """Read the members one by one, with the decoder's own scanners, to know where each begins and ends."""
        text, values, spans = self._text, self.values, self._spans
        opening = _OPENING(text)
        if opening is None:
            raise ValueError
        at = opening.end()
        closed = text[at] == "}"
        plain = _KEY(text, at)
        while not closed:
            if plain is not None:
                key, start, begin = plain[1], plain.start(1) - 1, plain.end()
            else:
                start = at
                key, begin = _escaped_key(text, at)
            value, at = _SCAN(text, begin)
            if at - begin > MOST_VALUE_BYTES and not isinstance(value, str):
                inner = text[begin:at].encode()
                value = Unread(inner, 0, len(inner))
            values[key] = value
            spans.append((key, start, at))
            plain = _NEXT_KEY(text, at)
            if plain is None:
                closed = text[at] == "}"
                if not closed:
                    at = _past_blanks(text, at)
                    closed = text[at] == "}"
                if not closed:
                    if text[at] != ",":
                        raise ValueError
                    at = _past_blanks(text, at + 1)
        if at + 1 != len(text) and _past_blanks(text, at + 1) != len(text):
            raise ValueError

    def members(self, keys: Container[str]) -> dict[str, str]:
        """The JSON text of the members of these `keys` as the client wrote it, their keys included."""
        texts: dict[str, str]
        if self._text:
            text, texts = self._text, {}
            for key, start, end in self._spans:
                if key in keys:
                    texts[key] = text[start:end]
        else:  # of a large one its beginning, which is as much as anybody looks at
            spans = ((key, start, min(end, start + COMPARED_BYTES)) for key, start, end in self._spans)
            texts = {key: self._raw[a:b].decode("utf-8", "replace") for key, a, b in spans if key in keys}
        for key, changed in self._changes.items():
            texts.pop(key, None)
            if changed is not None and key in keys:
                texts[key] = f'"{key}":{changed}'
        return texts

    def rewritten(self, changes: Mapping[str, str | None]) -> bytes:
        """The body with members replaced by JSON text, or taken out where that is None. Others keep their text."""
        pieces = self.pieces(changes)
        return pieces if isinstance(pieces, bytes) else b"".join(pieces)

    def pieces(self, changes: Mapping[str, str | None]) -> Pieces:
        """`rewritten`, of a large body as parts of it and what is between them."""
        changes = {**self._changes, **changes} if self._changes else changes
        spans = self._unchanged_spans(changes)
        added = ",".join([f"{_NAME(key)}:{value}" for key, value in changes.items() if value is not None])
        if self._text:
            text = self._text
            parts = [text[start:end] for start, end in spans]
            return ("{" + ",".join([*parts, added] if added else parts) + "}").encode()
        view, pieces = memoryview(self._raw), list[bytes | memoryview]()
        for start, end in spans:
            pieces += (b"," if pieces else b"{", view[start:end])
        pieces.append((("," if pieces else "{") + added + "}" if added else "}" if pieces else "{}").encode())
        return pieces

    def _unchanged_spans(self, changes: Mapping[str, str | None]) -> list[tuple[int, int]]:
        """Where the text stands that does not change: neighbours in one piece."""
        spans = self._spans
        if spans and not self._changes and self.values.keys().isdisjoint(changes):
            return [(spans[0][1], spans[-1][2])]
        unchanged: list[tuple[int, int]] = []
        joined = False
        for key, start, end in spans:
            if key in changes:
                joined = False
            elif joined:
                unchanged[-1] = (unchanged[-1][0], end)
            else:
                unchanged.append((start, end))
                joined = True
        return unchanged

    def varied(self, changes: Mapping[str, str | None]) -> Body:
        """A body that says something else in some members, and shares all the others with this one."""
        other = Body.__new__(Body)
        other.length, other._spans, other._text, other._raw = self.length, self._spans, self._text, self._raw
        other._changes, other.values = {**self._changes, **changes}, dict(self.values)
        for key, text in changes.items():
            if text is None:
                other.values.pop(key, None)
            elif len(text) <= SMALL_BYTES:
                other.values[key] = json.loads(text)
            else:
                raw = text.encode()
                other.values[key] = Unread(raw, 0, len(raw))
        return other

    def replaced(self, changes: Mapping[str, str | None]) -> Body:
        """A body read from what `rewritten` gives."""
        return Body(self.rewritten(changes))


def read_body(raw: bytes) -> Body:
    """A client's body, in any encoding that JSON has, with or without a byte order mark. Raises BodyError."""
    encoding = "utf-8" if raw[:1] == b"{" and raw[1:2] != b"\0" else json.detect_encoding(raw[:4])
    if encoding != "utf-8":
        try:
            raw = raw.decode(encoding).encode()
        except UnicodeDecodeError:
            raise BodyError("the body is not UTF-8") from None
    return Body(raw)


def loaded(raw: bytes) -> Any:
    """The JSON value in bytes, most of which are UTF-8 with nothing around the value. Raises ValueError."""
    try:
        text = raw.decode()
        value, end = _SCAN(text, 0)
        if end == len(text):
            return value
    except (UnicodeDecodeError, StopIteration):
        pass
    return json.loads(raw)


def size_of(pieces: Pieces) -> int:
    """How many bytes a body has that is sent in pieces."""
    return len(pieces) if isinstance(pieces, bytes) else sum(map(len, pieces))


def _past_blanks(text: str, at: int) -> int:
    blanks = _BLANK.match(text, at)
    assert blanks is not None
    return blanks.end()


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
    text = "".join(_CHUNKS(value, 0))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
