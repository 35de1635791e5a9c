"""The client's side of an exchange: bytes go to its transport directly, with back-pressure to the engine."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from stormc_proxy.flow.stream import Source
from stormc_proxy.http.events import chunk, event, unframed
from stormc_proxy.http.upstream import Head
from stormc_proxy.telemetry.journal import Record

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024
POLL_SECONDS = 0.01
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_NOT_FORWARDED = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
     b"expect", b"accept-encoding", b"x-request-id", b"content-type", b"proxy-authorization", b"proxy-connection",
     b"content-encoding")
)  # fmt: skip
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 413: b"Content Too Large",
            429: b"Too Many Requests", 500: b"Internal Server Error", 502: b"Bad Gateway", 503: b"Service Unavailable",
            504: b"Gateway Timeout"}  # fmt: skip


class Relayed(web.StreamResponse):
    """Tells aiohttp that the answer is on its way already."""

    def __init__(self, keep_alive: bool) -> None:
        """`keep_alive`: the connection takes another request."""
        super().__init__()
        self._kept = keep_alive

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection takes another request."""
        return self._kept

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing to do."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing to do."""


_KEPT, _LAST = Relayed(True), Relayed(False)


def reply(request: web.BaseRequest, status: int, body: bytes) -> Relayed:
    """A short JSON answer, for what is asked as often as the API itself."""
    kept, transport = request.keep_alive and request.version >= (1, 1), request.transport
    if transport is not None:
        transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
            % (status, _REASONS[status], len(body), b"" if kept else b"Connection: close\r\n", body)
        )
    return _KEPT if kept else _LAST


def client_id(request: web.BaseRequest) -> str:
    """The id that the client gave, if it can stand in a header and a log; else nothing."""
    given = request.headers.get("X-Request-Id", "")
    return given if _ID.fullmatch(given) else ""


def forwarded(raw: Sequence[tuple[bytes, bytes]], api_key: str) -> bytes:
    """The client's end-to-end headers as lines for an engine, with the engines' own key if there is one.

    What the client's Connection header names ends here as that header does (RFC 9110, 7.6.1).
    """
    lines = [b"Content-Type: application/json\r\n"]
    if api_key:
        lines.append(b"Authorization: Bearer %b\r\n" % api_key.encode())
    own = len(lines)
    named: set[bytes] = set()
    for name, value in raw:
        lower = name.lower()
        if lower not in _NOT_FORWARDED and not (api_key and lower == b"authorization"):
            lines.append(b"%b: %b\r\n" % (name, value))
        elif lower == b"connection":
            named.update(option.strip() for option in value.lower().split(b","))
    if named - {b"close", b"keep-alive"}:
        lines[own:] = [line for line in lines[own:] if line.partition(b":")[0].lower() not in named]
    return b"".join(lines)


class Relay:
    """The answer to one client request. Implements `stream.Output`."""

    __slots__ = (
        "_chunked", "_keep_alive", "_loop", "_pending", "_record", "_sources", "_timer", "_transport", "status"
    )  # fmt: skip

    def __init__(
        self, request: web.BaseRequest, record: Record, loop: asyncio.AbstractEventLoop, closing: bool
    ) -> None:
        """`closing`: the connection takes no further request."""
        self._transport, self._record, self._loop = request.transport, record, loop
        self._chunked = request.version >= (1, 1)
        self._keep_alive = request.keep_alive and not closing and self._chunked
        self._pending = b""
        self._sources: dict[Source, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.status = 0

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, reason: bytes = b"") -> Relayed:
        """A whole answer."""
        self._send(b"%bContent-Length: %d\r\n\r\n" % (self._head(status, headers, reason), len(body)), body)
        return self.done()

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece of each attempt; the client sees one head."""
        self._sources[source] = None
        if self.status:
            return
        lines = self._head(head.status, head.headers, head.reason)
        self._pending = lines + (b"Transfer-Encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")

    def write(self, framed: bytes) -> None:
        """Whole chunks."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._pending:
            framed, self._pending = self._first(framed), b""
        elif not self._chunked:
            framed = unframed(framed)
        transport.write(framed)
        if transport.get_write_buffer_size() > HIGH_WATER:
            for source in self._sources:
                source.pause()
            self._timer = self._timer or self._loop.call_later(POLL_SECONDS, self._drained)

    def end(self) -> Relayed:
        """The end of a streamed answer."""
        if self._pending:
            self._send(self._first(b""), b"")
            self._pending = b""
        if self._chunked:
            self._send(b"0\r\n\r\n", b"")
        return self.done()

    def break_off(self, message: str) -> Relayed:
        """The end of a streamed answer that cannot be completed: an error event, no [DONE], no further request."""
        self._keep_alive = False
        self.write(chunk(event({"error": {"message": message, "type": "upstream_error", "param": None, "code": 502}})))
        return self.end()

    def done(self) -> Relayed:
        """What the handler returns."""
        if self._timer is not None:
            self._timer.cancel()
        return _KEPT if self._keep_alive else _LAST

    def _first(self, framed: bytes) -> bytes:
        self._record.first_seconds = time.perf_counter() - self._record.began
        return self._pending + (framed if self._chunked else unframed(framed) if framed else b"")

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]], reason: bytes) -> bytes:
        self.status = self._record.status = status
        version = b"1.1" if self._chunked else b"1.0"
        lines = [b"HTTP/%b %d %b\r\n" % (version, status, reason or _REASONS.get(status, b"Status"))]
        lines += [b"%b: %b\r\n" % item for item in headers if item[0].lower() != b"x-request-id"]
        lines.append(b"X-Request-Id: %b\r\n" % self._record.client.encode())
        if not self._keep_alive and self._chunked:
            lines.append(b"Connection: close\r\n")
        return b"".join(lines)

    def _send(self, head: bytes, body: bytes) -> None:
        if not self._record.first_seconds:
            self._record.first_seconds = time.perf_counter() - self._record.began
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(head + body if len(body) < 65536 else head)
            if len(body) >= 65536:
                transport.write(body)

    def _drained(self) -> None:
        """Let the engine go on when the client has taken most of what waits for it."""
        transport = self._transport
        self._timer = None
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() < LOW_WATER:
            for source in self._sources:
                source.resume()
        else:
            self._timer = self._loop.call_later(POLL_SECONDS, self._drained)
