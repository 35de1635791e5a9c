"""The load of the bench, every byte of whose answers is checked."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

from tests.proxy.speed.engines import TOKENS, WHOLE


class Client(asyncio.Protocol):
    """A connection of the load: sends, and counts what comes until the answer is whole."""

    def __init__(self, request: bytes, stream: bool) -> None:
        self.request, self.stream = request, stream
        self.seen = b""
        self.done: asyncio.Future[None]
        self.transport: asyncio.Transport = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.seen += data
        if self.seen.endswith(b"0\r\n\r\n" if self.stream else b"}]}"):
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed early"))

    async def ask(self) -> float:
        """Seconds of one exchange. Raises AssertionError for a wrong answer."""
        self.seen, self.done = b"", asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.transport.write(self.request)
        await self.done
        body = self.seen.partition(b"\r\n\r\n")[2]
        assert self.seen.startswith(b"HTTP/1.1 200"), self.seen[:200]
        assert body.count(b"0123456789abcdef") == TOKENS if self.stream else body == WHOLE, body[:200]
        return time.perf_counter() - began


async def load(ports: list[int], connections: int, seconds: float, stream: bool, pause: float) -> dict[str, float]:
    """Each connection asks again when it has its answer."""
    loop = asyncio.get_running_loop()
    body = json.dumps({"model": "m", "prompt": "p" * 2048, "max_tokens": TOKENS, "stream": stream, "pause_ms": pause})
    request = (
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        f"\r\n\r\n{body}"
    ).encode()
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        made = loop.create_connection(lambda: Client(request, stream), "127.0.0.1", ports[number % len(ports)])
        client = (await made)[1]
        while time.perf_counter() < end:
            times.append(await client.ask())
        client.done = loop.create_future()
        client.done.set_result(None)
        client.transport.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(connections)))
    return {"count": len(times), "seconds": time.perf_counter() - began, "median": statistics.median(times)}
