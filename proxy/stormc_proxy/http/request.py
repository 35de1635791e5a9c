"""Requests of clients, from bytes: the head as one pure function, the body as a reader that is fed.

Whatever two readers could take for two different things is refused (RFC 9112: 2.2, 5.1, 6.1, 6.3): a bare line feed, a
blank before a colon, a folded line, a length that is no plain number or stands twice, a length together with chunks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

HEAD_BYTES = 64 * 1024
FIELDS = 256
TARGET_BYTES = 16 * 1024
CHUNK_LINE_BYTES = 1024
TRAILER_BYTES = 16 * 1024
NO_LENGTH = -1

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_FORMS = re.compile(r"https?://[^/?#]*", re.ASCII | re.IGNORECASE)

Field = tuple[bytes, bytes]


class BadRequest(Exception):
    """A request that is not HTTP as it must be; nothing of it is quoted anywhere."""

    def __init__(self, status: int, text: str) -> None:
        """`text` is for the client, in a few words."""
        super().__init__(text)
        self.status, self.text = status, text


class RequestHead(NamedTuple):
    """Request line and header fields, and what they say about the body and the connection."""

    method: str
    path: str
    query: str
    modern: bool
    """HTTP/1.1: answers may be chunked."""
    fields: Sequence[Field]
    length: int
    """Of the body; 0 when there is none, NO_LENGTH when it comes in chunks."""
    keep_alive: bool
    expects_continue: bool

    def get(self, name: bytes) -> str:
        """The first field of that lower-case name as text; empty if there is none."""
        for key, value in self.fields:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""


def end_of_head(data: bytes | bytearray) -> int:
    """Where the head ends, its blank line included; 0 while it is not complete. Raises BadRequest."""
    end = data.find(b"\r\n\r\n") + 4
    if 4 <= end <= HEAD_BYTES:
        return end
    if len(data) > HEAD_BYTES:
        raise BadRequest(431 if b"\n" in data[:TARGET_BYTES] else 414, "the head is too long")
    if data and not (data[:1].isalpha() or data[:1] == b"\r"):
        raise BadRequest(400, "not an HTTP request")
    if _BARE_LINE_FEED.search(data):
        raise BadRequest(400, "a line does not end with CRLF")
    return 0


def read_head(raw: bytes) -> RequestHead:
    """The head in `raw`, which ends with its blank line. Raises BadRequest."""
    line = _LINE.match(raw)
    if line is None:
        raise BadRequest(400, "malformed request line")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise BadRequest(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
    if len(target) > TARGET_BYTES:
        raise BadRequest(414, "the target is too long")
    block = _FIELDS.fullmatch(raw, line.end(), len(raw) - 2)
    if block is None:
        raise BadRequest(400, "malformed header")
    lines = raw[line.end() : -4].split(b"\r\n") if len(raw) - 2 > line.end() else []
    if len(lines) > FIELDS:
        raise BadRequest(431, "too many headers")
    fields = [(name, value.strip(b" \t")) for name, _, value in (text.partition(b":") for text in lines)]
    modern = minor != b"0"
    length, keep_alive, expects = _framing(fields, modern)
    path, query = _target(target.decode("ascii"))
    return RequestHead(method.decode("ascii"), path, query, modern, fields, length, keep_alive, expects)


def _framing(fields: Sequence[Field], modern: bool) -> tuple[int, bool, bool]:
    """Length of the body, whether the connection stays, whether the client waits for a 100. Raises BadRequest."""
    length, chunked, hosts = None, False, 0
    keep_alive, expects = modern, False
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 18:
                raise BadRequest(400, "malformed Content-Length")
            length = int(value)
        elif lower == b"transfer-encoding":
            if chunked or value.lower() != b"chunked" or not modern:
                raise BadRequest(400, "malformed Transfer-Encoding")
            chunked = True
        elif lower == b"host":
            hosts += 1
        elif lower == b"connection":
            options = {option.strip() for option in value.lower().split(b",")}
            keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
        elif lower == b"expect" and modern:
            if value.lower() != b"100-continue":
                raise BadRequest(417, "no such expectation")
            expects = True
    if hosts > 1 or (modern and not hosts):
        raise BadRequest(400, "one Host is needed")
    if chunked and length is not None:
        raise BadRequest(400, "a length and chunks")
    return NO_LENGTH if chunked else length or 0, keep_alive, expects


def _target(target: str) -> tuple[str, str]:
    """Path and query; of an absolute form its authority is left out, as RFC 9112 (3.2.2) has it for an origin."""
    if not target.startswith("/"):
        found = _FORMS.match(target)
        target = target[found.end() :] if found is not None else target
    path, _, query = target.partition("#")[0].partition("?")
    return path or "/", query


class BodyReader(Protocol):
    """Takes bytes, and knows when the body is whole."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's part of `data`, and what is behind the body. Raises BadRequest."""


class SizedBody:
    """A body whose length was said."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        """`length` bytes are to come."""
        self._left, self.done = length, not length

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """As BodyReader has it."""
        taken = data[: self._left]
        self._left -= len(taken)
        self.done = not self._left
        return taken, data[len(taken) :]


class ChunkedBody:
    """A body in chunks; extensions and trailers are read and dropped."""

    __slots__ = ("_held", "_in_trailer", "_left", "_trailer", "done")

    def __init__(self) -> None:
        """Before the first chunk."""
        self._held, self._left, self._trailer = b"", 0, 0  # `_left` counts the chunk's own end, two bytes
        self._in_trailer = self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """As BodyReader has it."""
        data, parts, at = self._held + data, [], 0
        self._held = b""
        while not self.done:
            if self._left > 2:
                taken = data[at : at + self._left - 2]
                self._left -= len(taken)
                at += len(taken)
                parts.append(taken)
            if self._left:
                if self._left > 2 or len(data) - at < 2:
                    self._held = data[at:]
                    return b"".join(parts), b""
                if data[at : at + 2] != b"\r\n":
                    raise BadRequest(400, "malformed chunk")
                self._left, at = 0, at + 2
            end = data.find(b"\r\n", at)
            if end < 0:
                self._held = self._unfinished(data[at:])
                return b"".join(parts), b""
            self._line(data[at:end])
            at = end + 2
        return b"".join(parts), data[at:]

    def _unfinished(self, line: bytes) -> bytes:
        if len(line) > CHUNK_LINE_BYTES or b"\n" in line:
            raise BadRequest(400, "malformed chunk")
        return line

    def _line(self, line: bytes) -> None:
        """The line before a chunk, or one of the trailer."""
        if self._in_trailer:
            self._trailer += len(line)
            if self._trailer > TRAILER_BYTES or (line and _FIELDS.fullmatch(line + b"\r\n") is None):
                raise BadRequest(400, "malformed trailer")
            self.done = not line
            return
        if len(line) > CHUNK_LINE_BYTES or _SIZE.fullmatch(line) is None:
            raise BadRequest(400, "malformed chunk")
        size = int(line.partition(b";")[0], 16)
        self._in_trailer = not size
        self._left = size + 2 if size else 0


def body_reader(head: RequestHead) -> BodyReader:
    """What reads the body that follows a head."""
    return ChunkedBody() if head.length == NO_LENGTH else SizedBody(head.length)
