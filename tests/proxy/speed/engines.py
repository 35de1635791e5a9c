"""Engines of the bench: they answer at once or by the token, and call the metaserver as decode does."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

TOKENS = 64
EVENT = b'data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"%06d ' \
        b'0123456789abcdef","logprobs":null,"finish_reason":null,"stop_reason":null}]}\n\n'  # fmt: skip
EVENTS = [b"%x\r\n%b\r\n" % (len(EVENT % k), EVENT % k) for k in range(TOKENS)]
LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b'{"id":"cmpl-1","object":"text_completion","choices":[{"index":0,"text":"hello","finish_reason":"length"}]}'
STREAMED = len(b"".join(EVENTS) + LAST)


def answer(body: bytes) -> bytes:
    """A whole HTTP answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Message(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, one message at a time, either side."""

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.message(head, body)

    def message(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError


class Engine(Message):
    """A prefill or decode instance: answers at once, or by the token; calls the metaserver as decode does."""

    arrived: ClassVar[dict[str, asyncio.Future[None]]] = {}
    callers: ClassVar[dict[str, list[Caller]]] = {}
    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def message(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get"):
            self.transport.write(answer(b"{}"))
            return
        value = json.loads(body)
        transfer = value.get("kv_transfer_params") or {}
        at = head.find(b"x-request-id:")
        key = head[at + 13 : at + 53].split(b"\r\n", 1)[0].strip().decode()
        if transfer.get("do_remote_decode"):
            if key in self.arrived and not self.arrived[key].done():
                self.arrived[key].set_result(None)
            self.transport.write(answer(b'{"choices":[],"kv_transfer_params":{"remote_host":"h","remote_port":1}}'))
        else:
            task = asyncio.ensure_future(self.decode(value, transfer, key))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def decode(self, value: dict[str, Any], transfer: dict[str, Any], key: str) -> None:
        if transfer.get("metaserver"):
            self.arrived[key] = asyncio.get_running_loop().create_future()
            free = self.callers.setdefault(transfer["metaserver"].rpartition("/")[0], [])
            caller = free.pop() if free else Caller()
            told = {"request_id": f"cmpl-{key}-0", "do_remote_decode": True, "remote_block_ids": [[1, 2, 3]]}
            await caller.post(transfer["metaserver"], json.dumps(told).encode())
            free.append(caller)
            await self.arrived[key]
            del self.arrived[key]
        if not value.get("stream"):
            self.transport.write(answer(WHOLE))
            return
        pause = value.get("pause_ms", 0) / 1000
        if not pause:
            self.transport.write(STREAM_HEAD + b"".join(EVENTS) + LAST)
            return
        self.transport.write(STREAM_HEAD)
        for event in EVENTS:
            await asyncio.sleep(pause)
            self.transport.write(event)
        self.transport.write(LAST)


class Caller(Message):
    """A kept connection to the metaserver."""

    done: asyncio.Future[None]

    async def post(self, url: str, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        host, _, rest = url.removeprefix("http://").partition(":")
        port, _, path = rest.partition("/")
        if self.transport is None or self.transport.is_closing():
            await loop.create_connection(lambda: self, host, int(port))
        self.done = loop.create_future()
        self.transport.write(
            b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
        )
        await self.done

    def message(self, head: bytes, body: bytes) -> None:
        self.done.set_result(None)


async def engines(ports: list[int]) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(Engine, "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()
