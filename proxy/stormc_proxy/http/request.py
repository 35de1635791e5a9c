"""Requests of clients, from bytes: the head as one pure function, the body as a reader that is fed.

Whatever two readers could take for two different things is refused (RFC 9112: 2.2, 5.1, 6.1, 6.3): a bare line feed, a
blank before a colon, a folded line, a length that is no plain number or stands twice, a length together with chunks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

HEAD_BYTES = 64 * 1024
FIELDS = 256
TARGET_BYTES = 16 * 1024
CHUNK_LINE_BYTES = 1024
TRAILER_BYTES = 16 * 1024
NO_LENGTH = -1
LENGTH_DIGITS = 18

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_FORMS = re.compile(r"https?://[^/?#]*", re.ASCII | re.IGNORECASE)

_NOT_PASSED = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
     b"expect", b"accept-encoding", b"x-request-id", b"content-type", b"proxy-authorization", b"proxy-connection",
     b"content-encoding", b"origin")
)  # fmt: skip
_ENDS = (b"content-length", b"transfer-encoding")
_KEYS = (b"authorization", b"x-api-key")
_TRACE = b"traceparent"
_NAME_BYTES = len(b"\r\nContent-Length: ")
KNOWN_HEADS = 512
KNOWN_BYTES = 4096

Field = tuple[bytes, bytes]


_Value = TypeVar("_Value")
_Fields = tuple[Sequence[Field], Mapping[bytes, str], bool, bool, "Passed"]
"""The members of RequestHead that a head's fields decide, in their order."""


class Passed(NamedTuple):
    """End-to-end fields as lines for an engine. Keys may be for this proxy alone, so they stand apart, as traces do."""

    lines: bytes
    keys: bytes
    trace: bytes


class BadRequest(Exception):
    """A request that is not HTTP as it must be; nothing of it is quoted anywhere."""

    def __init__(self, status: int, text: str) -> None:
        """`text` is for the client, in a few words."""
        super().__init__(text)
        self.status, self.text = status, text


class RequestHead(NamedTuple):
    """Request line and header fields, and what they say about the connection."""

    method: str
    path: str
    query: str
    modern: bool
    """HTTP/1.1: answers may be chunked."""
    fields: Sequence[Field]
    """All but those that tell where the body ends."""
    values: Mapping[bytes, str]
    """The first field of each lower-case name as text."""
    keep_alive: bool
    expects_continue: bool
    passed: Passed

    def get(self, name: bytes) -> str:
        """The first field of that lower-case name as text; empty if there is none."""
        return self.values.get(name, "")


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


def read_head(raw: bytes) -> tuple[RequestHead, int]:
    """The head in `raw`, which ends with its blank line, and the length of the body: NO_LENGTH when it comes in chunks.

    Raises BadRequest.
    """
    method, path, query, modern, end = _request_line(raw)
    fields, length = _read_fields(raw[end:], modern)
    return RequestHead(method, path, query, modern, *fields), length


class Heads:
    """Reads heads, and remembers them: clients send the same one again and again, but for the length of the body.

    Where that line stands does not matter to `read_head`, and any plain number is as good as another. So a head that
    is equal to one that was taken, but for that number, would be taken too, and means the same. The fields are
    remembered apart, too: decode's callbacks differ in their request lines alone.
    """

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._known: dict[bytes, RequestHead] = {}
        self._fields: dict[bytes, _Fields] = {}

    def read(self, raw: bytes) -> tuple[RequestHead, int]:
        """The same as `read_head`, from memory where it can be. Raises BadRequest."""
        start = raw.find(b"\r\nContent-Length: ")
        if start < 0:
            start = raw.find(b"\r\ncontent-length: ")
        if start < 0:
            return read_head(raw)
        end = raw.find(b"\r\n", start + _NAME_BYTES)
        digits = raw[start + _NAME_BYTES : end]
        if not digits.isdigit() or len(digits) > LENGTH_DIGITS:
            return read_head(raw)
        rest = raw[:start] + raw[end:]
        head = self._known.get(rest)
        if head is None:
            head = self._anew(raw, rest)
        return head, int(digits)

    def _anew(self, raw: bytes, rest: bytes) -> RequestHead:
        """The head in `raw`, which is `rest` and a line that gives the length."""
        method, path, query, modern, end = _request_line(raw)
        fields = self._fields.get(rest[end - 2 :]) if modern else None
        if fields is None:
            fields, _ = _read_fields(raw[end:], modern)
            if modern:
                _remember(self._fields, rest[end - 2 :], fields)
        head = RequestHead(method, path, query, modern, *fields)
        _remember(self._known, rest, head)
        return head


def _remember(memory: dict[bytes, _Value], text: bytes, value: _Value) -> None:
    if len(text) <= KNOWN_BYTES:
        if len(memory) >= KNOWN_HEADS:
            memory.clear()
        memory[text] = value


def _request_line(raw: bytes) -> tuple[str, str, str, bool, int]:
    """Method, path, query, whether it is HTTP/1.1, and where the line ends. Raises BadRequest."""
    line = _LINE.match(raw)
    if line is None:
        raise BadRequest(400, "malformed request line")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise BadRequest(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
    if len(target) > TARGET_BYTES:
        raise BadRequest(414, "the target is too long")
    path, query = target.decode(), ""
    if not target.startswith(b"/") or target.find(b"?") >= 0 or target.find(b"#") >= 0:
        path, query = _target(path)
    return method.decode(), path, query, minor != b"0", line.end()


def _read_fields(raw: bytes, modern: bool) -> tuple[_Fields, int]:
    """What the fields in `raw` say, and the length of the body. Raises BadRequest."""
    if _FIELDS.fullmatch(raw, 0, len(raw) - 2) is None:
        raise BadRequest(400, "malformed header")
    lines = raw[:-4].split(b"\r\n") if len(raw) > 2 else []
    if len(lines) > FIELDS:
        raise BadRequest(431, "too many headers")
    named = [(name, value.strip(b" \t")) for name, _, value in (text.partition(b":") for text in lines)]
    length, keep_alive, expects = _framing(named, modern)
    fields = [field for field in named if field[0].lower() not in _ENDS]
    values = {name.lower(): value.decode("latin-1") for name, value in reversed(fields)}
    return (fields, values, keep_alive, expects, _passed(fields)), length


def _passed(fields: Sequence[Field]) -> Passed:
    """What the client's Connection header names ends here as that header does (RFC 9110, 7.6.1)."""
    options = [value.lower().split(b",") for name, value in fields if name.lower() == b"connection"]
    named = {option.strip() for option_list in options for option in option_list}
    lines: list[bytes] = []
    keys: list[bytes] = []
    trace: list[bytes] = []
    for name, value in fields:
        lower = name.lower()
        if lower not in _NOT_PASSED and lower not in named:
            (keys if lower in _KEYS else trace if lower == _TRACE else lines).append(b"%b: %b\r\n" % (name, value))
    return Passed(b"".join(lines), b"".join(keys), b"".join(trace))


def _framing(named: Sequence[Field], modern: bool) -> tuple[int, bool, bool]:
    """Length of the body, whether the connection stays, whether the client waits for a 100. Raises BadRequest."""
    length, chunked, hosts = None, False, 0
    keep_alive, expects = modern, False
    for name, value in ((name.lower(), value) for name, value in named):
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > LENGTH_DIGITS:
                raise BadRequest(400, "malformed Content-Length")
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked" or not modern:
                raise BadRequest(400, "malformed Transfer-Encoding")
            chunked = True
        elif name == b"host":
            hosts += 1
        elif name == b"connection":
            options = {option.strip() for option in value.lower().split(b",")}
            keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
        elif name == b"expect" and modern:
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
        authority = _FORMS.match(target)
        target = target[authority.end() :] if authority is not None else target
    path, _, query = target.partition("#")[0].partition("?")
    return path or "/", query


class BodyReader(Protocol):
    """Takes bytes, and knows when the body is whole."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's part of `data`, and what is behind the body. Raises BadRequest."""


class SizedBody:
    """A body of a length that its head gives."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        """Expects `length` bytes."""
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
        """Expects the first chunk."""
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


def body_reader(length: int) -> BodyReader:
    """What reads a body, given what its head says of its length."""
    return ChunkedBody() if length == NO_LENGTH else SizedBody(length)
