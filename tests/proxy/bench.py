"""What the proxy costs, in ratios of one run: python -m tests.proxy.bench [--seconds 4] [--rounds 3].

Every contestant forwards the same requests to the same engines: the proxy (prefill and decode; layerwise with decode's
callback besides), a plain aiohttp relay of one hop, and nothing at all. The contestant has a core of its own, engines
and load share the other; contestants take turns, medians count. Seconds of CPU come from the scheduler.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NamedTuple

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


async def relay(port: int, targets: list[int]) -> None:
    """The plain relay: aiohttp on both sides, one hop, chunk by chunk, nothing else."""
    from aiohttp import ClientSession, TCPConnector, web

    session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)
    turn = 0

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal turn
        turn += 1
        url = f"http://127.0.0.1:{targets[turn % len(targets)]}{request.path}"
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=await request.read(), headers=headers) as found:
            if found.content_type != "text/event-stream":
                return web.Response(body=await found.read(), content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            async for piece in found.content.iter_any():
                await response.write(piece)
            return response

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/v1/completions", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


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


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def start(*words: object, core: int) -> subprocess.Popen[bytes]:
    """A process of this bench, or the proxy, on one core."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = {cores[core % len(cores)]}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, chosen))


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU of a process so far."""
    with open(f"/proc/{process.pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def megabytes(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process."""
    with open(f"/proc/{process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Figure(NamedTuple):
    """One measurement: answers per second, median seconds, CPU seconds per answer."""

    rate: float
    median: float
    cpu: float


def measure(process: subprocess.Popen[bytes] | None, ports: list[int], *words: object) -> Figure:
    """One run of the load."""
    before = cpu_seconds(process) if process else 0.0
    asked = start("tests.proxy.bench", "load", ",".join(map(str, ports)), *words, core=1)
    out, _ = asked.communicate(timeout=30)
    found = json.loads(out)
    used = (cpu_seconds(process) if process else 0.0) - before
    return Figure(found["count"] / found["seconds"], found["median"], used / found["count"])


def wait_for(port: int) -> None:
    """Return when a port answers."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def proxy(port: int, prefill: list[int], decode: list[int], mode: str = "layerwise") -> subprocess.Popen[bytes]:
    """The proxy in front of engines."""
    process = start(
        "stormc_proxy", "--mode", mode, "--no-access-log", "--host", "127.0.0.1", "--port", port, "--prefiller-hosts",
        *["127.0.0.1"] * len(prefill), "--prefiller-ports", *prefill, "--decoder-hosts", *["127.0.0.1"] * len(decode),
        "--decoder-ports", *decode, core=0,
    )  # fmt: skip
    wait_for(port)
    return process


SCENARIOS = (
    ("1 connection", (1, 0, 0)),
    ("32 connections", (32, 0, 0)),
    ("256 connections", (256, 0, 0)),
    (f"256 streams of {TOKENS} tokens, 20 ms apart", (256, 1, 20)),
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ports = free_ports(517)
    prefill, decode = ports[:2], ports[2:4]
    started = [start("tests.proxy.bench", "engines", ",".join(map(str, ports[:512])), core=1)]
    assert started[0].stdout is not None
    started[0].stdout.readline()
    try:
        own, standard = proxy(ports[513], prefill, decode), proxy(ports[516], prefill, decode, "standard")
        plain = start("tests.proxy.bench", "relay", ports[514], decode[0], core=0)
        started += [own, standard, plain]
        wait_for(ports[514])
        found: dict[tuple[str, str], list[Figure]] = {}
        contestants = (
            ("direct", None, decode), ("relay", plain, [ports[514]]), ("standard", standard, [ports[516]]),
            ("layerwise", own, [ports[513]]),
        )  # fmt: skip
        for _ in range(options.rounds):
            for name, words in SCENARIOS:
                for who, process, targets in contestants:
                    figure = measure(process, targets, words[0], options.seconds, words[1], words[2])
                    found.setdefault((name, who), []).append(figure)
        print("| | direct | relay, one hop | standard | layerwise | standard : relay | layerwise : relay |")
        print("|---|---|---|---|---|---|---|")
        for name, words in SCENARIOS:
            rates, medians, cpus = (
                [statistics.median(getattr(f, field) for f in found[name, who]) for who, _, _ in contestants]
                for field in Figure._fields
            )
            row(f"{name}: answers/s", rates, "{:.0f}", 1.0)
            row("… median ms", medians, "{:.2f}", 1000.0)
            if words[1]:
                row("… CPU µs per token", cpus, "{:.1f}", 1e6 / TOKENS)
            else:
                row("… CPU µs per answer", cpus, "{:.0f}", 1e6)
        scale(ports, options, started)
        grow(own, ports[513])
    finally:
        for process in started:
            process.kill()


def row(what: str, values: list[float], form: str, factor: float) -> None:
    """A line of the table; CPU of nothing is a dash."""
    shown = [form.format(value * factor) if value else "–" for value in values]
    print(f"| {what} | {' | '.join(shown)} | {values[2] / values[1]:.2f} | {values[3] / values[1]:.2f} |", flush=True)


def scale(ports: list[int], options: argparse.Namespace, started: list[subprocess.Popen[bytes]]) -> None:
    """What many instances cost."""
    few, many = proxy(ports[512], ports[:1], ports[1:2]), proxy(ports[515], ports[:256], ports[256:512])
    started += [few, many]
    costs: dict[int, list[float]] = {2: [], 512: []}
    for _ in range(options.rounds):
        for size, process, port in ((2, few, ports[512]), (512, many, ports[515])):
            costs[size].append(measure(process, [port], 32, options.seconds, 0, 0).cpu)
    two, lots = (statistics.median(costs[size]) for size in (2, 512))
    shown = f"{lots * 1e6:.0f} and {two * 1e6:.0f} µs"
    print(f"\n512 instances cost {lots / two:.2f} times as much CPU per answer as 2 ({shown})")


def grow(process: subprocess.Popen[bytes], port: int) -> None:
    """Memory over 100,000 requests."""
    asked, sizes = 0, []
    while asked < 100_000:
        asked += round(measure(process, [port], 64, 4, 0, 0).rate * 4)
        sizes.append(megabytes(process))
    half = sizes[len(sizes) // 2]
    since = f"{sizes[-1] - half:+.1f} MB since half of them"
    print(f"after {asked} more requests the proxy holds {sizes[-1]:.1f} MB, {since}")


def roles() -> dict[str, Callable[[list[str]], Awaitable[object]]]:
    """The processes that this module can be."""

    async def asked(words: list[str]) -> None:
        ports = [int(port) for port in words[0].split(",")]
        found = await load(ports, int(words[1]), float(words[2]), words[3] == "1", float(words[4]))
        print(json.dumps(found))

    return {
        "engines": lambda words: engines([int(port) for port in words[0].split(",")]),
        "relay": lambda words: relay(int(words[0]), [int(words[1])]),
        "load": asked,
    }


if __name__ == "__main__":
    role = roles().get(sys.argv[1]) if len(sys.argv) > 1 else None
    if role is None:
        main()
    else:
        asyncio.run(role(sys.argv[2:]))  # type: ignore[arg-type]
