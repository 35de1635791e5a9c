"""Answers of engines: the head as a pure function, from bytes to what the relay has to know."""

from __future__ import annotations

import re
from typing import NamedTuple

from stormc_proxy.http.content_coding import CODINGS
from stormc_proxy.http.reply import head_bytes

HEAD_BYTES = 64 * 1024
PROTOCOL = b"HTTP/1."
UNTIL_CLOSE = -1
EVENT_STREAM = b"text/event-stream"
_HEAD = re.compile(
    rb"(HTTP/1\.\d) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?"
    rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*"
)
"""RFC 9112: what is a status line and what are fields; a client must not see anything else."""
KNOWN_HEADS = 512
KNOWN_BYTES = 4096
_NAME_BYTES = len(b"\r\nContent-Length: ")
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"te", b"trailer", b"upgrade",
     b"proxy-authenticate", b"proxy-connection")
)  # fmt: skip


class Head:
    """Status line and end-to-end headers of an answer."""

    __slots__ = ("_lines", "headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """`headers` are end-to-end ones; none of it changes later."""
        self.status, self.reason, self.headers = status, reason, headers
        self._lines = b""

    def get(self, name: bytes) -> bytes:
        """The first header of that lower-case name, or nothing."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""

    def is_event_stream(self) -> bool:
        """Whether the body is called server-sent events."""
        return self.get(b"content-type").lower().startswith(EVENT_STREAM)

    def lines(self) -> bytes:
        """As the head of an answer to a client, but for what the proxy says itself: the id and how the body comes."""
        if not self._lines:
            fields = [field for field in self.headers if field[0].lower() != b"x-request-id"]
            self._lines = head_bytes(self.status, fields, True, self.reason)
        return self._lines


class Framing(NamedTuple):
    """How the body comes, apart from its length."""

    chunked: bool
    keep: bool
    """The connection may be used again."""
    events: bool
    """The body is server-sent events, as they are."""
    coding: str = ""
    """How the body is compressed; that was not asked for, so it is undone."""


def read_head(raw: bytes) -> tuple[Head, Framing, int]:
    """The head in `raw`, without its blank line, and the length of the body.

    That is 0 with chunks, UNTIL_CLOSE when only the end of the connection ends it. Raises ValueError for what is no
    HTTP/1 head.
    """
    first = _HEAD.fullmatch(raw)
    if first is None:
        raise ValueError("no head of an answer")
    version, status, reason = first[1], int(first[2]), first[3] or b""
    lines = raw.split(b"\r\n")
    fields = []
    length: int | None = None
    chunked, keep, events, coding = False, version == b"HTTP/1.1", False, ""
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        value = value.strip()
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            if lower == b"content-length":
                if not value.isdigit() or length not in (None, int(value)):
                    raise ValueError("content-length")
                length = int(value)
            elif lower == b"transfer-encoding":
                if value.lower() != b"chunked":
                    raise ValueError("transfer-encoding")
                chunked = True
            elif lower == b"connection":
                keep = value.lower() != b"close" and (keep or value.lower() == b"keep-alive")
        elif lower == b"content-encoding" and value.lower().decode("latin-1") in CODINGS:
            coding = value.lower().decode()
        else:
            fields.append((name, value))
            if lower == b"content-type":
                events = value.lower().startswith(EVENT_STREAM)
    if not status_has_body(status):
        length, chunked = 0, False
    body_length = 0 if chunked else UNTIL_CLOSE if length is None else length
    framing = Framing(chunked, keep and body_length >= 0, events and not coding, coding)
    return Head(status, reason, fields), framing, body_length


def status_has_body(status: int) -> bool:
    """Whether a body follows at all, whatever the fields say."""
    return status not in (204, 304)


class Heads:
    """Reads heads, and remembers them: engines send the same one again and again, but for the length of the body.

    Their date changes once a second. Remembered are heads that say nothing of the body's end but in one plain line of
    its length: with any other number in it they mean the same.
    """

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._known: dict[bytes, tuple[Head, Framing]] = {}

    def read(self, raw: bytes) -> tuple[Head, Framing, int]:
        """The same as `read_head`, from memory where it can be. Raises ValueError."""
        start = raw.find(b"\r\ncontent-length: ")
        if start < 0:
            start = raw.find(b"\r\nContent-Length: ")
        if start < 0:
            return read_head(raw)
        end = raw.find(b"\r\n", start + _NAME_BYTES)
        if end < 0:
            end = len(raw)
        digits = raw[start + _NAME_BYTES : end]
        rest = raw[:start] + raw[end:]
        remembered = self._known.get(rest)
        if remembered is not None and digits.isdigit():
            head, framing = remembered
            return head, framing, int(digits)
        head, framing, length = read_head(raw)
        tells_once = b"content-length" not in rest.lower() and not framing.chunked and status_has_body(head.status)
        if len(rest) <= KNOWN_BYTES and digits.isdigit() and tells_once:
            if len(self._known) >= KNOWN_HEADS:
                self._known.clear()
            self._known[rest] = (head, framing)
        return head, framing, length
