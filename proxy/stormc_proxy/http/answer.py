"""Answers of engines: the head as a pure function, from bytes to what the relay has to know."""

from __future__ import annotations

import re
from typing import NamedTuple

from stormc_proxy.http.coding import CODINGS

HEAD_BYTES = 64 * 1024
PROTOCOL = b"HTTP/1."
UNTIL_CLOSE = -1
_HEAD = re.compile(
    rb"(HTTP/1\.\d) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?"
    rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*"
)
"""RFC 9112: what is a status line and what are fields; a client must not see anything else."""
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"te", b"trailer", b"upgrade",
     b"proxy-authenticate", b"proxy-connection")
)  # fmt: skip


class Head(NamedTuple):
    """Status line and end-to-end headers of an answer."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]

    def get(self, name: bytes) -> bytes:
        """The first header of that lower-case name, or nothing."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""


class Framing(NamedTuple):
    """How the body comes."""

    length: int
    """0 with chunks, UNTIL_CLOSE when only the end of the connection ends it."""
    chunked: bool
    keep: bool
    """The connection may be used again."""
    events: bool
    """The body is server-sent events, as they are."""
    coding: str = ""
    """How the body is compressed; nobody asked for it, so it is undone."""


def read_head(raw: bytes) -> tuple[Head, Framing]:
    """The head in `raw`, without its blank line. Raises ValueError for what is no HTTP/1 head."""
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
                events = value.lower().startswith(b"text/event-stream")
    if status in (204, 304):
        length, chunked = 0, False
    left = 0 if chunked else UNTIL_CLOSE if length is None else length
    framing = Framing(left, chunked, keep and left >= 0, events and not coding, coding)
    return Head(status, reason, fields), framing
