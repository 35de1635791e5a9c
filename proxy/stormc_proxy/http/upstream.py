"""HTTP/1.1 to the engines: an own client, because its bytes go to the client's transport without a task in between.

Names are resolved anew for every connection (a rescheduled pod has another address), connections are reused for less
time than uvicorn keeps them (5 s), and a peer that loses power is noticed by TCP itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, cast

from stormc_proxy.fleet.pool import Instance
from stormc_proxy.http.events import chunk, unframed
from stormc_proxy.settings import Address

KEEP_ALIVE_SECONDS = 4.0
IDLE_CONNECTIONS = 256
HEAD_BYTES = 64 * 1024
EVENT_BYTES = 64 * 1024 * 1024
USER_TIMEOUT_MS = 30_000
_RACE = ("connection reset", "connection closed early", "connection closed")
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"te", b"trailer", b"upgrade",
     b"proxy-authenticate", b"proxy-connection")
)  # fmt: skip


class UpstreamError(Exception):
    """An instance did not answer as it should; `sent` tells whether it may have seen the request."""

    def __init__(self, reason: str, sent: bool = True) -> None:
        """`reason` in a few words for logs and clients."""
        super().__init__(reason)
        self.reason, self.sent = reason, sent


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


class Sink(Protocol):
    """Where a body goes while it arrives."""

    def chunks(self, framed: bytes, count: int, whole: bool) -> None:
        """`count` whole chunks with their framing, ending where an event ends if the body is events.

        `whole` tells that each of them does, so that no event is torn by framing.
        """

    def data(self, data: bytes) -> None:
        """Bytes of a body that is not chunked."""


class Connection(asyncio.Protocol):
    """One connection to one instance; one exchange at a time."""

    __slots__ = (
        "_began", "_body_done", "_chunked", "_endpoint", "_error", "_events", "_excused", "_gone", "_head", "_held",
        "_instance", "_keep", "_last", "_left", "_loop", "_missing", "_paused", "_response", "_transport", "idle_since",
        "reused", "sink",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint) -> None:
        """Made by its endpoint."""
        self._endpoint, self._loop = endpoint, endpoint.loop
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()
        self._response: asyncio.Future[Head] | None = None
        self._body_done: asyncio.Future[None] | None = None
        self.sink: Sink | None = None
        self._instance: Instance | None = None
        self._held: list[bytes] = []
        self._missing = 0
        self._left = 0
        self._chunked = self._events = self._keep = self.reused = self._paused = False
        self._excused = False
        self._error = self._gone = ""
        self._began = self._last = self.idle_since = 0.0

    # -- one exchange --------------------------------------------------------------------------------------------------

    async def send(self, request: bytes, body: bytes, instance: Instance | None, timeout: float) -> Head:
        """Send a request and wait for the answer's head. Raises UpstreamError; the caller then calls `close`.

        `instance` hears of the exchange, so that it can be cut when the instance is found to be gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UpstreamError("connection closed", sent=False)
        if instance is not None:
            self._instance = instance
            instance.exchanges.add(self)
        self._response = self._loop.create_future()
        self._began = self._last = self._loop.time()
        if len(body) > 65536:
            transport.write(request)
            transport.write(body)
        else:
            transport.write(request + body)
        if not timeout:
            return await self._response
        watch = self._loop.call_later(timeout, self._watch, self._response, timeout)
        try:
            return await self._response
        finally:
            watch.cancel()

    async def collect(self, idle: float) -> bytes:
        """The whole body, without framing. Raises UpstreamError when it is cut."""
        sink = Collected()
        await self.pump(sink, idle)
        return sink.body()

    async def pump(self, sink: Sink, idle: float) -> None:
        """Give the body to `sink` as it arrives. Raises UpstreamError when it is cut or idle for `idle` seconds."""
        self.sink = sink
        if self._body_done is None or self._body_done.done():
            self._flush()
            if self._body_done is not None:
                await self._body_done
            return
        self._flush()
        if not idle:
            await self._body_done
            return
        watch = self._loop.call_later(idle, self._watch, self._body_done, idle)
        try:
            await self._body_done
        finally:
            watch.cancel()

    def _watch(self, awaited: asyncio.Future[Head] | asyncio.Future[None], limit: float) -> None:
        if awaited.done():
            return
        head = awaited is self._response
        since = self._began if head else self._last
        left = limit if self._paused or self._excused else since + limit - self._loop.time()
        if left <= 0:
            self.abort("no answer in time" if head else "stream idle")
        else:
            self._loop.call_later(left, self._watch, awaited, limit)

    def excuse(self, silent: bool) -> None:
        """Whether the peer itself waits for another instance: its silence is not held against it then.

        It works on the request, so its end is no keep-alive race either.
        """
        self._excused, self.reused = silent, False
        self._began = self._last = self._loop.time()

    def finish(self) -> None:
        """After a complete answer: back to the pool, or closed if the peer wants so."""
        self._detach()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._keep and self._body_done is not None and self._body_done.done() and not self._error:
            self._response = self._body_done = None
            self.sink = None
            self.idle_since = self._loop.time()
            self._endpoint.put(self)
        else:
            transport.abort()

    def close(self) -> None:
        """Leave the exchange at once; the engine sees its client go and aborts the request."""
        self._detach()
        if self._transport is not None:
            self._transport.abort()

    def abort(self, reason: str) -> None:
        """End the exchange as failed."""
        self._fail(reason)
        if self._transport is not None:
            self._transport.abort()

    def stalled_since(self, moment: float) -> bool:
        """Whether nothing has arrived since then."""
        return self._last <= moment and not self._paused

    def pause(self) -> None:
        """Read no more until `resume`; the client is slower than the engine."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._last = self._loop.time()
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    def _detach(self) -> None:
        self.resume()
        self._excused = False
        if self._instance is not None:
            self._instance.exchanges.discard(self)
            self._instance = None

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let TCP watch the peer: a node that lost its power says nothing."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is None:
            return
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def data_received(self, data: bytes) -> None:
        """Head, then body; anything outside an exchange ends the connection."""
        self._last = self._loop.time()
        done = self._body_done
        if done is not None:
            if done.done():
                self.close()
            elif self.sink is None:
                self._held.append(data)
            elif self._chunked:
                self._chunks(data)
            else:
                self._plain(data)
            return
        if self._response is None:
            self.close()
            return
        head = self._head
        head += data
        while True:
            end = head.find(b"\r\n\r\n")
            if end < 0:
                if len(head) > HEAD_BYTES:
                    self.abort("head too long")
                return
            raw, rest = bytes(head[:end]), bytes(head[end + 4 :])
            del head[:]
            if not self._begin(raw):
                if rest:
                    head += rest
                    continue
                return
            break
        if rest and self._body_done is not None and not self._body_done.done():
            self._held.append(rest)
            if self.sink is not None:
                self._flush()

    def eof_received(self) -> None:
        """A body without framing ends here; everything else was cut."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer went away, or we did. What it sent before still counts, also if nobody has asked for it yet."""
        self._transport = None
        self._gone = "connection reset" if exc is not None else "connection closed early"
        self._endpoint.drop(self)
        done = self._body_done
        if done is None or done.done() or self.sink is not None:
            self._end()

    def _end(self) -> None:
        done = self._body_done
        if done is not None and not done.done() and self._left < 0 and self._gone == "connection closed early":
            done.set_result(None)
        else:
            self._fail(self._gone)

    # -- framing -------------------------------------------------------------------------------------------------------

    def _begin(self, raw: bytes) -> bool:
        """Read a head; False for an interim one (1xx)."""
        lines = raw.split(b"\r\n")
        try:
            version, status_text, *reason = lines[0].split(b" ", 2)
            status = int(status_text)
            fields = []
            length: int | None = None
            chunked, keep = False, version == b"HTTP/1.1"
            self._events = False
            for line in lines[1:]:
                name, colon, value = line.partition(b":")
                if not colon:
                    raise ValueError("header without colon")
                value = value.strip()
                lower = name.lower()
                if lower in _HOP_BY_HOP:
                    if lower == b"content-length":
                        if not value.isdigit():
                            raise ValueError("content-length")
                        length = int(value)
                    elif lower == b"transfer-encoding":
                        chunked = value.lower() == b"chunked"
                    elif lower == b"connection":
                        keep = value.lower() != b"close" and (keep or value.lower() == b"keep-alive")
                else:
                    fields.append((name, value))
                    if lower == b"content-type":
                        self._events = value.lower().startswith(b"text/event-stream")
            if not version.startswith(b"HTTP/1."):
                raise ValueError("version")
        except ValueError:
            self.abort("malformed head")
            return True
        if 100 <= status < 200:
            return False
        if status in (204, 304):
            length, chunked = 0, False
        self._body_done = self._loop.create_future()
        self._body_done.add_done_callback(_retrieved)
        self._chunked = chunked
        self._left = 0 if chunked else -1 if length is None else length
        self._keep = keep and self._left >= 0
        if self._left == 0 and not chunked:
            self._body_done.set_result(None)
        response = self._response
        if response is not None and not response.done():
            response.set_result(Head(status, reason[0] if reason else b"", fields))
        return True

    def _flush(self) -> None:
        """Give the sink what came before it was there."""
        held, self._held = self._held, []
        if held:
            data = held[0] if len(held) == 1 else b"".join(held)
            if self._chunked:
                self._chunks(data)
            else:
                self._plain(data)
        done = self._body_done
        if self._transport is None and done is not None and not done.done():
            self._end()

    def _plain(self, data: bytes) -> None:
        sink, done = self.sink, self._body_done
        assert sink is not None and done is not None
        if self._left >= 0:
            if len(data) > self._left:
                data, self._keep = data[: self._left], False
            self._left -= len(data)
        sink.data(data)
        if self._left == 0 and not done.done():
            done.set_result(None)

    def _chunks(self, data: bytes) -> None:
        """Pass whole chunks on, of events up to the last one that ends an event; hold the rest."""
        if self._missing > len(data):
            self._missing -= len(data)
            self._held.append(data)
            return
        if self._held:
            self._held.append(data)
            data = b"".join(self._held)
            self._held = []
        self._missing = 0
        position = count = passed = passed_count = 0
        whole = True
        size = len(data)
        while True:
            line = data.find(b"\r\n", position, position + 1024)
            if line < 0:
                if size - position > 1024:
                    self.abort("malformed chunk")
                    return
                break
            try:
                length = int(data[position:line], 16)
            except ValueError:
                length = _chunk_size(data[position:line])
            if length <= 0:
                if length < 0:
                    self.abort("malformed chunk")
                else:
                    self._last_chunk(data, position, line, count, whole)
                return
            end = line + 4 + length
            if end > size:
                self._missing = end - size
                break
            tail = data[end - 6 : end]
            if tail[4:] != b"\r\n":
                self.abort("malformed chunk")
                return
            position = end
            count += 1
            if not self._events or (tail[2:4] == b"\n\n" and length > 1) or (tail[:4] == b"\r\n\r\n" and length > 3):
                passed, passed_count = end, count
            else:
                whole = False
        if passed:
            if passed < size:
                self._held.append(data[passed:])
                data = data[:passed]
            assert self.sink is not None
            self.sink.chunks(data, passed_count, whole)
        elif count and self._passed_realigned(data, position):
            return
        elif size:
            if size > EVENT_BYTES:
                self.abort("event too long")
                return
            self._held.append(data)

    def _passed_realigned(self, data: bytes, position: int) -> bool:
        """Pass on the whole events of chunks that all end inside of one, as a relay in between may cut them."""
        payload = unframed(data[:position])
        end = max(payload.rfind(b"\n\n") + 2, payload.rfind(b"\r\n\r\n") + 4)
        if end < 4:
            return False
        rest = payload[end:]
        self._held.append((chunk(rest) if rest else b"") + data[position:])
        assert self.sink is not None
        self.sink.chunks(chunk(payload[:end]), payload.count(b"data:", 0, end), True)
        return True

    def _last_chunk(self, data: bytes, position: int, line: int, count: int, whole: bool) -> None:
        trailer = data.find(b"\r\n\r\n", line)
        if trailer < 0:
            self._held.append(data)
            return
        if trailer + 4 != len(data):
            self._keep = False
        sink, done = self.sink, self._body_done
        assert sink is not None and done is not None
        if position:
            sink.chunks(data[:position], count, whole)
        if not done.done():
            done.set_result(None)

    def _fail(self, reason: str) -> None:
        self._error = self._error or reason
        for future in (self._response, self._body_done):
            if future is not None and not future.done():
                future.set_exception(UpstreamError(self._error))
                _retrieved(future)


def _chunk_size(line: bytes) -> int:
    """The size in a chunk's first line; extensions are allowed. -1 if it is none."""
    try:
        length = int(line.partition(b";")[0], 16)
    except ValueError:
        return -1
    return length if length <= EVENT_BYTES else -1


def _retrieved(future: asyncio.Future[None] | asyncio.Future[Head]) -> None:
    """A failure that nobody awaits any more is not worth a log line."""
    if future.done() and not future.cancelled():
        future.exception()


def _unwanted(connecting: asyncio.Task[tuple[asyncio.Transport, Connection]]) -> None:
    """Close a connection for which nobody waits any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[0].abort()


class Collected:
    """A sink that keeps the body."""

    def __init__(self) -> None:
        """Empty."""
        self._parts: list[bytes] = []

    def chunks(self, framed: bytes, count: int, whole: bool) -> None:
        """Keep the chunks' payload."""
        self._parts.append(unframed(framed))

    def data(self, data: bytes) -> None:
        """Keep the bytes."""
        self._parts.append(data)

    def body(self) -> bytes:
        """Everything so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


class Endpoint:
    """The connections to one address."""

    def __init__(self, address: Address, loop: asyncio.AbstractEventLoop, connect_timeout: float) -> None:
        """No connection is opened yet."""
        self.address, self.loop, self._connect_timeout = address, loop, connect_timeout
        self.host_line = f"Host: {address}\r\n".encode()
        self._idle: list[Connection] = []

    async def connection(self, fresh: bool = False) -> Connection:
        """An idle connection that is young enough, else a new one. Raises UpstreamError, with `sent` false."""
        idle = self._idle
        oldest = self.loop.time() - KEEP_ALIVE_SECONDS
        while idle and not fresh:
            connection = idle.pop()
            if connection.idle_since > oldest:
                connection.reused = True
                return connection
            for stale in (connection, *idle):
                stale.close()
            idle.clear()
        connecting = self.loop.create_task(
            self.loop.create_connection(lambda: Connection(self), self.address.host, self.address.port)
        )
        try:  # not wait_for: before Python 3.12 it drops a cancellation that comes together with the result
            await asyncio.wait((connecting,), timeout=self._connect_timeout or None)
            if not connecting.done():
                raise UpstreamError("connect timeout", sent=False)
        except BaseException:
            connecting.cancel()
            connecting.add_done_callback(_unwanted)
            raise
        try:
            _, connection = connecting.result()
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            why = error.strerror or "none of its addresses answers"
            raise UpstreamError("connection refused" if refused else f"connect: {why}", sent=False) from error
        return connection

    def put(self, connection: Connection) -> None:
        """Keep it for the next request."""
        if len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()

    def drop(self, connection: Connection) -> None:
        """It is closed."""
        if connection.idle_since and connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class Upstream:
    """All endpoints, by address."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connect_timeout: float) -> None:
        """Nothing is connected yet."""
        self._loop, self.connect_timeout = loop, connect_timeout
        self._endpoints: dict[Address, Endpoint] = {}

    def endpoint(self, address: Address) -> Endpoint:
        """The connections to an address."""
        found = self._endpoints.get(address)
        if found is None:
            found = self._endpoints[address] = Endpoint(address, self._loop, self.connect_timeout)
        return found

    async def open(
        self, instance: Instance, line: bytes, fields: bytes, body: bytes, timeout: float,
        taken: Callable[[Connection], None],
    ) -> tuple[Connection, Head]:  # fmt: skip
        """Send a request, its line and its header fields given, and return the connection with the answer's head.

        A reused connection that dies before any answer is the keep-alive race, not a failure: tried again once, on a
        new connection. `taken` gets the connection before anything is sent, so that a cancelled caller can close it.
        Raises UpstreamError.
        """
        endpoint = self.endpoint(instance.address)
        request = line + endpoint.host_line + fields
        connection = await endpoint.connection()
        taken(connection)
        try:
            return connection, await connection.send(request, body, instance, timeout)
        except UpstreamError as error:
            connection.close()
            if not connection.reused or error.reason not in _RACE:
                raise
        connection = await endpoint.connection(fresh=True)
        taken(connection)
        try:
            return connection, await connection.send(request, body, instance, timeout)
        except UpstreamError:
            connection.close()
            raise

    def forget(self, keep: Iterable[Address]) -> None:
        """Close the endpoints that are not in `keep`."""
        wanted = set(keep)
        for address in [a for a in self._endpoints if a not in wanted]:
            self._endpoints.pop(address).close()

    def close(self) -> None:
        """Close everything that is idle."""
        self.forget(())
