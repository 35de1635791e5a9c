"""One connection of a client: requests are read whole, one at a time, and answered in their order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import cast

from stormc_proxy.edge.admission import FREE_BYTES
from stormc_proxy.edge.listener import Listener
from stormc_proxy.flow.api import GENERATING, error_value
from stormc_proxy.http.reply import Reply, head_of
from stormc_proxy.http.request import BadRequest, BodyReader, Field, RequestHead, body_reader, end_of_head
from stormc_proxy.outcomes import Outcome

LINGER_SECONDS = 2.0
HEAD_SECONDS = 30.0
HELD_BYTES = 64 * 1024
"""Most bytes of further requests that are read while one is answered; beyond, the client is not read for now."""
HIGH_WATER, LOW_WATER = 256 * 1024, 64 * 1024


class Request:
    """A request that was read to its end."""

    __slots__ = ("body", "connection", "head")

    def __init__(self, head: RequestHead, body: bytes, connection: ClientConnection) -> None:
        """`body` is as it was sent, content codings included."""
        self.head, self.body, self.connection = head, body, connection


class ClientConnection(asyncio.Protocol):
    """Reads requests and has them answered."""

    __slots__ = (
        "_buffer",
        "_discarding",
        "_head",
        "_held",
        "_parts",
        "_reader",
        "_reserved",
        "_size",
        "_task",
        "deadline",
        "is_slow",
        "listener",
        "on_slow",
        "transport",
    )  # fmt: skip

    def __init__(self, listener: Listener) -> None:
        """Waits for its transport; `listener` has what all its connections share."""
        self.listener = listener
        self.transport: asyncio.Transport | None = None
        self.deadline = 0.0
        """When waiting for the client ends; 0 while the client waits for an answer."""
        self.is_slow = False
        """More is written than the client reads."""
        self.on_slow: Callable[[bool], None] | None = None
        """Called with True when the client does not keep up with what is written, with False when it does again."""
        self._buffer = b""
        self._held = b""
        self._head: RequestHead | None = None
        self._reader: BodyReader | None = None
        self._parts: list[bytes] = []
        self._size = self._reserved = 0
        self._task: asyncio.Task[Reply | bool] | None = None
        self._discarding = False

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is connected: its time to send a request begins."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self.listener.connections.add(self)
        self.deadline = self.listener.loop.time() + self.listener.settings.keep_alive_seconds

    def data_received(self, data: bytes) -> None:
        """Part of a request, or of one that comes before its turn."""
        if self._task is None and not self._discarding:
            self._read(data)
        elif not self._discarding:
            self._held += data
            if len(self._held) > HELD_BYTES and self.transport is not None:
                self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """Read request by request, until one has to be waited for."""
        while data and self.transport is not None:
            try:
                data = self._take(data)
            except BadRequest as error:
                self._refuse(Outcome.NOT_HTTP, error.status, error.text)
            if self._discarding:
                return
            if self._task is not None:
                if data:
                    self._held = data
                return

    def eof_received(self) -> None:
        """A client that says no more has left, as every router of engines takes it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left; what runs for it ends."""
        self.transport = None
        self.listener.connections.discard(self)
        self._forget_body()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.is_slow = True
        if self.on_slow is not None:
            self.on_slow(True)

    def resume_writing(self) -> None:
        """The client has read enough for more to be written."""
        self.is_slow = False
        if self.on_slow is not None:
            self.on_slow(False)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> bytes:
        """Read on, up to the end of one request; what is behind it. Raises BadRequest."""
        if self._reader is not None:
            return self._take_body(self._reader, data)
        if self._buffer:
            data = self._buffer + data
        while data.startswith(b"\r\n"):
            data = data[2:]
        end = end_of_head(data)
        if not end:
            if data and not self._buffer:
                self.deadline = self.listener.loop.time() + HEAD_SECONDS
            self._buffer = data
            return b""
        self._buffer = b""
        head, length = self.listener.heads.read(data[:end])
        if 0 <= length <= len(data) - end and length <= min(FREE_BYTES, self.listener.settings.max_body_bytes):
            self._respond(Request(head, data[end : end + length], self))  # as nearly all come: in one piece
            return data[end + length :]
        self._head = head
        if not self._admits(length):
            return b""
        reader = self._reader = body_reader(length)
        data = data[end:]
        if head.expects_continue and not data and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._take_body(reader, data)

    def _take_body(self, reader: BodyReader, data: bytes) -> bytes:
        """Read on in a body; what is behind it. Raises BadRequest."""
        taken, rest = reader.feed(data)
        if taken:
            self._parts.append(taken)
            self._size += len(taken)
            if self._size > self.listener.settings.max_body_bytes:
                self._too_large()
                return b""
            if self._size > max(self._reserved, FREE_BYTES) and not self._reserve(self._size):
                return b""
        if not reader.done:
            self.deadline = self.listener.loop.time() + (self.listener.settings.body_timeout_seconds or 86400.0)
            return b""
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        head = self._head
        assert head is not None
        self._parts, self._head, self._reader, self._size = [], None, None, 0
        self._respond(Request(head, body, self))
        return rest

    def _admits(self, length: int) -> bool:
        """Whether there is room for the body that a head announces."""
        if length > self.listener.settings.max_body_bytes:
            self._too_large()
            return False
        return length <= FREE_BYTES or self._reserve(length)

    def _reserve(self, size: int) -> bool:
        """Room for a body of that size; refused if there is none."""
        if self.holds(size):
            return True
        self._refuse(Outcome.TOO_MANY, 429, "too many bytes of requests at a time", retry_after=True)
        return False

    def holds(self, size: int) -> bool:
        """Whether there is room for a body of that size, which is taken then."""
        more = max(size - self._reserved, FREE_BYTES if self._reserved else 0)
        if size <= max(FREE_BYTES, self._reserved):
            return True
        if not self.listener.admission.take_bytes(more):
            return False
        self._reserved += more
        return True

    def _too_large(self) -> None:
        most = self.listener.settings.max_body_bytes
        self._refuse(Outcome.TOO_LARGE, 413, f"the body is larger than {most} bytes")

    def _forget_body(self) -> None:
        self._parts, self._reader, self._head, self._size = [], None, None, 0
        self.listener.admission.give_bytes(self._reserved)
        self._reserved = 0

    # -- answering -----------------------------------------------------------------------------------------------------

    def _respond(self, request: Request) -> None:
        self.deadline = 0.0
        answer = self.listener.respond(request)
        if isinstance(answer, Reply):
            self._finish_request(request, answer)
            return
        task = self._task = self.listener.loop.create_task(answer)
        task.add_done_callback(partial(self._task_done, request))

    def _task_done(self, request: Request, task: asyncio.Task[Reply | bool]) -> None:
        self._task = None
        if task.cancelled() or self.transport is None:
            self._forget_body()
            self.abort()
            return
        error = task.exception()
        if error is not None:
            self.listener.loop.call_exception_handler({"message": "a handler failed", "exception": error})
            self.abort()
            return
        self._finish_request(request, task.result())
        if self._held:
            next_data, self._held = self._held, b""
            self._read(next_data)

    def _finish_request(self, request: Request, answer: Reply | bool) -> None:
        """Write an answer that is not written yet, and go on with the next request."""
        keep = answer
        if isinstance(answer, Reply):
            keep = request.head.keep_alive and request.head.modern and not self.listener.draining
            self.write(request.head, answer, keep)
        if self._reserved:
            self._forget_body()
        self.on_slow = None
        transport = self.transport
        if not keep:
            self._held, self._discarding = b"", True
            if transport is not None:
                transport.close()
            return
        self.deadline = self.listener.loop.time() + self.listener.settings.keep_alive_seconds
        if transport is not None and not transport.is_reading():
            with contextlib.suppress(RuntimeError):
                transport.resume_reading()

    def write(self, head: RequestHead | None, reply: Reply, keep: bool) -> None:
        """Write a whole answer; without a connection, nothing."""
        if self.transport is None or self.transport.is_closing():
            return
        modern = head is None or head.modern
        fields = reply.fields
        if head is not None and b"origin" in head.values:
            fields += self.listener.cors(head.get(b"origin"))
        lines = head_of(reply.status, reply.content_type, fields, modern, keep)
        body = b"" if head is not None and head.method == "HEAD" else reply.body
        self.transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (lines, len(reply.body), body))

    def _refuse(self, outcome: Outcome, status: int, text: str, retry_after: bool = False) -> None:
        """Answer a request that is not read to its end; then the connection takes no more."""
        self.listener.ended(outcome)
        head = self._head
        self._forget_body()
        kind = "rate_limit_error" if status == 429 else "invalid_request_error"
        api = GENERATING.get(head.path) if head is not None else None
        value = error_value(api.dialect if api is not None else "", status, text, kind)
        more: tuple[Field, ...] = ((b"Retry-After", b"1"),) if retry_after else ()
        self.write(head, Reply(status, json.dumps(value).encode(), fields=more), keep=False)
        self._discarding = True
        self.deadline = self.listener.loop.time() + LINGER_SECONDS
        if self.transport is not None and self.transport.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                self.transport.write_eof()  # closed at once, a client that still sends would lose the answer

    def timed_out(self) -> None:
        """The client kept us waiting too long; one that still reads the last answer has not begun to be idle."""
        unread = self.transport is not None and self.transport.get_write_buffer_size() > 0
        if unread and self._reader is None and not self._discarding:
            self.deadline = self.listener.loop.time() + self.listener.settings.keep_alive_seconds
        elif self._reader is not None:
            self._refuse(Outcome.BODY_TIMEOUT, 408, "the body did not come in time")
        else:
            self.abort()

    def abort(self) -> None:
        """Cut the connection at once; what runs for it is cancelled."""
        self.deadline = 0.0
        if self.transport is not None:
            self.transport.abort()
