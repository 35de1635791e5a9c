"""A client that sees what really came over its connection, and reads answers as the OpenAI API has them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@dataclass
class Reply:
    """An answer, as far as it came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    """Ended as its framing says, not by a cut."""
    seconds: float = 0.0
    version: str = ""
    interim: list[int] = field(default_factory=list)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON objects of a stream's events."""
        found = [event[6:] for event in self.body.split(b"\n\n") if event.startswith(b"data: ")]
        return [json.loads(data) for data in found if data != b"[DONE]"]

    @property
    def done(self) -> bool:
        """Whether a stream ends with the one [DONE]."""
        return self.body.endswith(b"data: [DONE]\n\n") and self.body.count(b"[DONE]") == 1

    @property
    def error(self) -> dict[str, Any] | None:
        """The error event that ends a broken stream."""
        events = self.events
        found: dict[str, Any] | None = events[-1].get("error") if events else None
        return found

    def text(self, index: int = 0) -> str:
        """What the choice of that index says, streamed or not."""
        values = self.events if self.body.startswith(b"data: ") else [self.json]
        parts = []
        for value in values:
            for choice in value.get("choices", ()):
                if choice["index"] == index:
                    part = choice.get("delta") or choice.get("message") or choice
                    parts.append(part.get("text") or part.get("content") or "")
        return "".join(parts)

    def usage(self) -> dict[str, Any] | None:
        """Usage at the end."""
        values = self.events if self.body.startswith(b"data: ") else [self.json]
        return next((value["usage"] for value in reversed(values) if value.get("usage")), None)

    def endings(self) -> list[Any]:
        """Every finish reason that was given."""
        values = self.events if self.body.startswith(b"data: ") else [self.json]
        reasons = [choice.get("finish_reason") for value in values for choice in value.get("choices", ())]
        return [reason for reason in reasons if reason]


class Client:
    """One connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Made by `connect`."""
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1", buffer: int = 0) -> Client:
        """Connected; `buffer` is the size of the receive buffer, 0 is the system's."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return cls(*await asyncio.open_connection(sock=sock, limit=1 << 16))

    def send(self, raw: bytes) -> None:
        """Write bytes."""
        self.writer.write(raw)

    async def reply(self) -> Reply:
        """The next answer, as far as it comes."""
        reply, began = Reply(), time.monotonic()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._read(reply)
        reply.seconds = time.monotonic() - began
        return reply

    async def _read(self, reply: Reply) -> None:
        await self.head(reply)
        if reply.headers.get("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._body(reply, size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
            reply.complete = True
        elif "content-length" in reply.headers:
            await self._body(reply, int(reply.headers["content-length"]))
            reply.complete = True
        elif reply.status:
            while data := await self.reader.read(65536):
                reply.body += data
            reply.complete = reply.version == "HTTP/1.0"

    async def head(self, reply: Reply) -> None:
        """Read status and headers."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
        reply.version, status, _ = first.split(" ", 2)
        if status.startswith("1"):
            reply.interim.append(int(status))
            await self.head(reply)
            return
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in reply.headers, f"{name} twice"
            reply.headers[name.lower()] = value
        reply.status = int(status)

    async def _body(self, reply: Reply, size: int) -> None:
        while size:
            data = await self.reader.read(min(size, 65536))
            if not data:
                raise ConnectionResetError
            reply.body += data
            size -= len(data)

    def reset(self) -> None:
        """Go without a word."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


def request(
    method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, version: str = "1.1"
) -> bytes:
    """The bytes of a request; a body that is no bytes is dumped as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", "Host: proxy", f"Content-Length: {len(raw)}"]
    lines += ["Content-Type: application/json"] if raw else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + raw


async def ask(
    port: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None,
    version: str = "1.1", host: str = "127.0.0.1",
) -> Reply:  # fmt: skip
    """One request on a connection of its own."""
    client = await Client.connect(port, host)
    try:
        client.send(request(method, path, body, headers, version))
        return await client.reply()
    finally:
        client.close()


def question(chat: bool, stream: bool, text: str = "Say it", tokens: int = 8, **more: object) -> dict[str, Any]:
    """A request's body."""
    body: dict[str, Any] = {"model": "qwen", "max_tokens": tokens, **more}
    if chat:
        body["messages"] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": text}]
    else:
        body.setdefault("prompt", text)
    return {**body, "stream": True} if stream else body


def path_of(chat: bool) -> str:
    """Where such a request goes."""
    return CHAT if chat else COMPLETIONS
