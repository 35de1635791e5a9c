"""The client's side of an exchange: bytes go to its transport directly, with back-pressure to the engine."""

from __future__ import annotations

import asyncio
import re
import time

from stormc_proxy.edge.connection import Request
from stormc_proxy.flow.api import error_event
from stormc_proxy.flow.output import Source
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.events import chunk, unframed
from stormc_proxy.http.reply import head_bytes
from stormc_proxy.http.request import Passed, RequestHead
from stormc_proxy.random_ids import new_id
from stormc_proxy.telemetry.journal import Record

_ID = re.compile(r"[\x21-\x7e]{1,256}")
HEARTBEAT = b": keep-alive\n\n"
_EVENT_STREAM = Head(200, b"OK", [(b"Content-Type", b"text/event-stream; charset=utf-8")])


def client_id(head: RequestHead) -> str:
    """The id that the client gave, if it can stand in a header and a log; else a new one."""
    client_id = head.get(b"x-request-id")
    return client_id if _ID.fullmatch(client_id) else new_id()


def forwarded(passed: Passed, api_key: str, keep_keys: bool = True, traced: bool = False) -> bytes:
    """The client's end-to-end headers as lines for an engine, with the engines' own key if there is one.

    A key that was for this proxy (`keep_keys` false) is no business of the engines. A traced request names a span of
    the proxy to them instead of the client's.
    """
    own = b"Authorization: Bearer %b\r\n" % api_key.encode() if api_key else passed.keys if keep_keys else b""
    return b"Content-Type: application/json\r\n" + own + passed.lines + (b"" if traced else passed.trace)


class Relay:
    """The answer to one client request. Implements `stream.Output`."""

    __slots__ = (
        "_beat", "_chunked", "_cors", "_dialect", "_heartbeat", "_keep_alive", "_loop", "_pending", "_record",
        "_request", "_sources", "status",
    )  # fmt: skip

    def __init__(self, request: Request, record: Record, closing: bool, dialect: str = "openai") -> None:
        """`closing`: the connection takes no further request; `dialect` is how errors are written."""
        head, listener = request.head, request.connection.listener
        self._request, self._record, self._loop, self._dialect = request, record, listener.loop, dialect
        self._chunked = head.modern
        self._keep_alive = head.keep_alive and not closing and self._chunked
        self._cors = listener.cors(head.get(b"origin")) if b"origin" in head.values else ()
        self._pending = b""
        self._sources: dict[Source, None] = {}
        self._heartbeat = listener.settings.heartbeat_seconds
        self._beat: asyncio.TimerHandle | None = None
        self.status = 0

    def answer(self, head: Head, body: bytes) -> bool:
        """A whole answer; whether the connection takes another request, as all that end one."""
        lines = b"%bContent-Length: %d\r\n\r\n" % (self._head(head), len(body))
        self._send(lines, b"" if self._request.head.method == "HEAD" else body)
        return self.done()

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece of each attempt; the client sees one head."""
        self._sources[source] = None
        self._request.connection.on_slow = self._slow
        if self._request.connection.is_slow:
            source.pause()
        if self.status:
            return
        lines = self._head(head)
        self._pending = lines + (b"Transfer-Encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")

    def write(self, framed: bytes) -> None:
        """Send whole chunks, with the head before the first ones; for HTTP/1.0 without chunk framing."""
        transport = self._request.connection.transport
        if transport is None or transport.is_closing():
            return
        if self._pending:
            framed, self._pending = self._first(framed), b""
        elif not self._chunked:
            framed = unframed(framed)
        transport.write(framed)
        if self._beat is not None:
            self.beat()

    def beat(self) -> None:
        """From now on a client that waits for events gets a comment now and then, if that is wished for."""
        if self._beat is not None:
            self._beat.cancel()
        self._beat = self._loop.call_later(self._heartbeat, self._waits) if self._heartbeat else None

    def end(self) -> bool:
        """End a streamed answer; whether the connection takes another request."""
        if self._pending:
            self._send(self._first(b""), b"")
            self._pending = b""
        if self._chunked:
            self._send(b"0\r\n\r\n", b"")
        return self.done()

    def break_off(self, status: int, message: str, kind: str = "upstream_error") -> bool:
        """The end of a streamed answer that cannot be completed: an error event, no [DONE], no further request."""
        self._keep_alive = False
        self.write(chunk(error_event(self._dialect, status, message, kind)))
        return self.end()

    def done(self) -> bool:
        """Whether the connection takes another request."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self._request.connection.on_slow = None
        self._sources.clear()
        return self._keep_alive

    def _waits(self) -> None:
        """Nothing came for a while: a comment keeps what lies between from taking the connection for dead."""
        if not self.status:
            lines = self._head(_EVENT_STREAM)
            self._pending = lines + (b"Transfer-Encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")
        self.write(chunk(HEARTBEAT))

    def _slow(self, slow: bool) -> None:
        """The client does not keep up, so its engines have to wait; or it does again."""
        for source in self._sources:
            source.pause() if slow else source.resume()

    def _first(self, framed: bytes) -> bytes:
        self._record.first_seconds = time.perf_counter() - self._record.began
        return self._pending + (framed if self._chunked else unframed(framed) if framed else b"")

    def _head(self, head: Head) -> bytes:
        """Status line and fields, but for those that tell how the body comes."""
        self.status = self._record.status = head.status
        if self._cors or not self._chunked:
            hidden = (b"x-request-id", b"access-control-allow-origin") if self._cors else (b"x-request-id",)
            fields = [field for field in head.headers if field[0].lower() not in hidden]
            lines = head_bytes(head.status, [*fields, *self._cors], self._chunked, head.reason)
        else:
            lines = head.lines()
        closes = b"Connection: close\r\n" if not self._keep_alive and self._chunked else b""
        return b"%bX-Request-Id: %b\r\n%b" % (lines, self._record.client.encode(), closes)

    def _send(self, head: bytes, body: bytes) -> None:
        if not self._record.first_seconds:
            self._record.first_seconds = time.perf_counter() - self._record.began
        transport = self._request.connection.transport
        if transport is not None and not transport.is_closing():
            if len(body) < 65536:
                transport.write(head + body)
            else:
                transport.write(head)
                transport.write(body)
