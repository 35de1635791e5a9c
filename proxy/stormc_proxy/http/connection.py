"""One connection to an engine: an own client, as its bytes go to the client's transport without a task in between."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable
from typing import cast

from stormc_proxy.http.answer_head import HEAD_BYTES, PROTOCOL, Framing, Head
from stormc_proxy.http.body_sink import BodySink, CollectedBody
from stormc_proxy.http.connection_owner import ConnectionOwner
from stormc_proxy.http.deadline import LONG_SECONDS
from stormc_proxy.http.exchange_timeout import ExchangeTimeout
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.framing import ChunkedFeed, Feed, FramingError, feed_of
from stormc_proxy.http.request_writer import PIECE_BYTES, Pieces, RequestWriter
from stormc_proxy.http.target import Target
from stormc_proxy.http.tcp import watch_peer
from stormc_proxy.outcomes import Outcome
from stormc_proxy.transitions import EXCHANGE


class Connection(RequestWriter):
    """One connection to one target; one exchange at a time."""

    __slots__ = (
        "_awaited", "_began", "_body_done", "_error", "_excused", "_feed", "_framing", "_head", "_held",
        "_how_it_closed", "_last", "_limit", "_owner", "_paused", "_response", "_spoke", "_swept",
        "_target", "_transport", "content", "idle_since", "reused", "sink", "state",
    )  # fmt: skip

    def __init__(self, owner: ConnectionOwner) -> None:
        """Has no transport yet; `owner` opens it."""
        super().__init__(owner.loop)
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self.state, self._head = EXCHANGE.start, b""
        self._response: asyncio.Future[Head] | None = None
        self._body_done: asyncio.Future[None] | None = None
        self._awaited: asyncio.Future[Head] | asyncio.Future[None] | None = None
        self._framing: Framing | None = None
        self.content: bytes | None = None
        """The whole body of an answer that came together with its head and leaves the connection free, as most do."""
        self._feed: Feed | None = None
        self.sink: BodySink | None = None
        self._target: Target | None = None
        self._held: list[bytes] = []
        self._paused = self._excused = self._swept = self.reused = False
        self._error, self._how_it_closed = cast("Outcome | None", None), Outcome.CLOSED_EARLY
        self._began = self._last = self._spoke = self._limit = self.idle_since = 0.0

    # -- one exchange --------------------------------------------------------------------------------------------------

    def send(self, request: bytes, body: Pieces, target: Target | None, timeout: float) -> Awaitable[Head]:
        """Send a request and wait for the answer's head. Raises UpstreamError; the caller then calls `close`.

        `target` lists the exchange, so that it can be cut when the target is found to be gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UpstreamError(Outcome.CONNECTION_CLOSED, sent=False)
        if target is not None:
            self._target = target
            target.exchanges.add(self)
        self.state = EXCHANGE[self.state, "send"]
        response: asyncio.Future[Head] = self._loop.create_future()
        self._response = response
        self._began = self._last = self._spoke = self.written = self._loop.time()
        if timeout >= LONG_SECONDS and self._swept:
            self._awaited, self._limit, watch = response, timeout, None
        else:
            watch = self._timed(timeout, response)
        if isinstance(body, bytes) and len(body) <= PIECE_BYTES:
            transport.write(request + body)
            if watch is None:
                return response
            body = b""
        else:
            transport.write(request)
        return self._send_body(transport, body, response, watch)

    async def _send_body(
        self, transport: asyncio.Transport, body: Pieces, response: asyncio.Future[Head], watch: ExchangeTimeout | None
    ) -> Head:
        """The head of the answer to a request whose body is still to be sent, or whose time is short."""
        try:
            await self.write(transport, body, response)
            return await response
        finally:
            if watch is not None:
                watch.cancel()

    async def collect(self, idle: float) -> bytes:
        """The whole body, without framing. Raises UpstreamError when it is cut."""
        sink = CollectedBody()
        await self.pump(sink, idle)
        return sink.body()

    async def pump(self, sink: BodySink, idle: float) -> None:
        """Give the body to `sink` as it arrives. Raises UpstreamError when it is cut or idle for `idle` seconds."""
        if self.content is not None:
            sink.data(self.content)
            return
        self.sink = sink
        self._flush()
        body_done = self._body_done
        if body_done is None:
            return
        watch = self._timed(idle, body_done) if not body_done.done() else None
        try:
            await body_done
        finally:
            if watch is not None:
                watch.cancel()

    def _timed(self, seconds: float, awaited: asyncio.Future[Head] | asyncio.Future[None]) -> ExchangeTimeout | None:
        """A time limit, 0 is none: a long one is looked at once a second, a short one has a timer of its own."""
        self._awaited, self._limit = awaited, seconds
        if seconds < LONG_SECONDS:
            return ExchangeTimeout(self._loop, seconds, self) if seconds else None
        if not self._swept:
            self._swept = True
            self._owner.sweep.add(self)
        return None

    def look(self, now: float) -> None:
        """End the exchange if its time limit is over."""
        if self.seconds_left(now) <= 0:
            self.abort(Outcome.NO_ANSWER if self._awaited is self._response else Outcome.IDLE)

    def seconds_left(self, now: float) -> float:
        """Of the time limit; all of it while the peer is not to blame for its silence, infinite while there is none."""
        awaited, limit = self._awaited, self._limit
        if awaited is None or not limit or awaited.done():
            return math.inf
        if self._paused or self._excused:
            return limit
        return (self._began if awaited is self._response else self._spoke) + limit - now

    def excuse(self, silent: bool) -> None:
        """Whether the peer itself waits for another instance: its silence is not held against it then.

        It works on the request, so its end is no keep-alive race either.
        """
        self._excused, self.reused = silent, False
        self._began = self._last = self._spoke = self._loop.time()

    @property
    def unframed(self) -> bool:
        """Whether nothing but the end of the connection ends the body."""
        return self._feed is not None and self._feed.ends_with_connection

    @property
    def reusable(self) -> bool:
        """Whether the answer came whole, and the peer takes another request on this connection."""
        body_done, framing, feed = self._body_done, self._framing, self._feed
        whole = body_done is not None and body_done.done() and self._error is None
        clean = whole and framing is not None and framing.keep and feed is not None and feed.clean
        return clean or self.content is not None

    def finish(self) -> None:
        """After a complete answer: back to the pool, or closed if the peer wants so."""
        self._detach()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self.content is not None:
            self.content = None
        elif self.reusable:
            self._body_done = self.sink = self._feed = None
        else:
            self.close()
            return
        self.state = EXCHANGE[self.state, "keep"]
        self._response = self._awaited = self._framing = None
        self.idle_since = self._loop.time()
        self._owner.put(self)

    def close(self) -> None:
        """Leave the exchange at once; the engine sees its client go and aborts the request."""
        self._detach()
        self.state = EXCHANGE[self.state, "close"]
        if self._transport is not None:
            self._transport.abort()

    def abort(self, outcome: Outcome) -> None:
        """End the exchange as failed."""
        self._fail(outcome)
        self.state = EXCHANGE[self.state, "close"]
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
        """Read on from the engine."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._last = self._spoke = self._loop.time()
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    def _detach(self) -> None:
        if self._paused:
            self.resume()
        self._excused = False
        if self._target is not None:
            self._target.exchanges.discard(self)
            self._target = None

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let TCP watch the peer: a node that lost its power says nothing."""
        self._transport = cast(asyncio.Transport, transport)
        watch_peer(self._transport)

    def data_received(self, data: bytes) -> None:
        """Head, then body; anything outside an exchange ends the connection."""
        self._last = self._loop.time()
        body_done = self._body_done
        if body_done is None:
            if self._response is None or self.content is not None:
                self.close()
            else:
                self._read_head(data)
        elif body_done.done():
            self.close()
        elif self.sink is None:
            self._held.append(data)
        else:
            self._body(data)

    def _read_head(self, data: bytes) -> None:
        """Read heads until one that is no interim one (1xx)."""
        self.reused = False  # the peer works on the request, so its end is no keep-alive race any more
        if self._head:
            data, self._head = self._head + data, b""
        while self._body_done is None:
            end = data.find(b"\r\n\r\n", 0, HEAD_BYTES)
            if end < 0:
                self._head = data
                if not data.startswith(PROTOCOL[: len(data)]) or b"\n\n" in data:
                    self.abort(Outcome.MALFORMED)
                elif len(data) > HEAD_BYTES:
                    self.abort(Outcome.TOO_LONG)
                return
            try:
                answer, framing, length = self._owner.heads.read(data[:end])
            except ValueError:
                self.abort(Outcome.MALFORMED)
                return
            data = data[end + 4 :]
            if answer.status >= 200 and self._begin(answer, framing, length, data):
                return
        if data and not self._body_done.done():
            self._held.append(data)
            if self.sink is not None:
                self._flush()

    def _begin(self, answer: Head, framing: Framing, length: int, data: bytes) -> bool:
        """The answer begins; whether `data` is its whole body, as it mostly is."""
        self.state = EXCHANGE[self.state, "head"]
        self._spoke, self._framing = self._last, framing
        whole = len(data) == length and framing.keep and not framing.chunked and not framing.coding
        if whole:
            self.state = EXCHANGE[self.state, "end"]
            self.content = data
        else:
            self._body_done = self._loop.create_future()
            self._feed = feed = feed_of(framing, length)
            if feed.done:
                self._body_ended()
        if self._response is not None and not self._response.done():
            self._response.set_result(answer)
        return whole

    def eof_received(self) -> None:
        """A body without framing ends here; everything else was cut."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer went away, or we did. What it sent before still counts, also if nobody has asked for it yet."""
        self._transport = None
        self._how_it_closed = Outcome.RESET if exc is not None else Outcome.CLOSED_EARLY
        self._owner.drop(self)
        if self._swept:
            self._owner.sweep.discard(self)
        self.resume_writing()
        body_done = self._body_done
        if self.content is None and (body_done is None or (not body_done.done() and self.sink is not None)):
            self._transport_lost()

    def _transport_lost(self) -> None:
        body_done, feed = self._body_done, self._feed
        ends = feed is not None and feed.ends_with_connection and self._how_it_closed is Outcome.CLOSED_EARLY
        if body_done is not None and not body_done.done() and ends:
            self._body_ended()
        else:
            self._fail(self._how_it_closed)

    def _flush(self) -> None:
        """Give the sink what came before it was there."""
        waiting, self._held = self._held, []
        if waiting:
            self._body(waiting[0] if len(waiting) == 1 else b"".join(waiting))
        body_done = self._body_done
        if self._transport is None and body_done is not None and not body_done.done():
            self._transport_lost()

    def _body(self, data: bytes) -> None:
        sink, feed = self.sink, self._feed
        assert sink is not None and feed is not None
        try:
            if isinstance(feed, ChunkedFeed):
                framed, count, whole = feed.feed(data)
                is_answer = bool(framed) and sink.chunks(framed, count, whole)
            else:
                is_answer = sink.data(feed.feed(data))
        except FramingError as error:
            self.abort(error.outcome)
            return
        if is_answer:
            self._spoke = self._last
        if feed.done:
            self._body_ended()

    def _body_ended(self) -> None:
        body_done = self._body_done
        if body_done is not None and not body_done.done():
            self.state = EXCHANGE[self.state, "end"]
            body_done.set_result(None)

    def _fail(self, outcome: Outcome) -> None:
        self._error = self._error or outcome
        for future in (self._response, self._body_done):
            if future is not None and not future.done():
                future.set_exception(UpstreamError(self._error))
                future.exception()  # a failure that nobody awaits any more is not worth a log line
