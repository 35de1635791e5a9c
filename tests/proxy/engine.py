"""Engines as the proxy meets them: vLLM's prefill and decode on real sockets, with faults that can be switched on.

A decode engine in layerwise mode posts its parameters to the metaserver and answers only when a prefill engine really
worked on a request with the same id and the same parameters; in standard mode it answers only parameters that a prefill
engine offered, and fetching them frees that engine's KV cache. The text of an answer follows from the prompt, and a
prompt that ends with the beginning of its answer is continued, so that every byte that a client gets can be predicted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

MODELS = {"object": "list", "data": [{"id": "qwen", "object": "model"}]}
OPAQUE: dict[str, Any] = {"nested": [1, 2.5, None, {"ü": "\u2028😀", "lone": "\ud800", "big": 2**70}], "empty": {}}
"""Nothing that a proxy knows; it has to arrive as it was sent."""
FIRST_ID = 100_000
_WORDS = re.compile(r"(?: [0-9a-f]{8}\.\d+)*$")
_OFFER = {
    "do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
    "remote_host": None, "remote_port": None,
}  # fmt: skip

FAULTS = (
    "refuse", "reset_before", "close_before", "reset_after", "cut_reset", "cut_close", "black_hole", "trickle",
    "slow_head", "hang", "hang_after_head", "garbage", "pushed_reset", "error_first", "error_later", "error_body",
)  # fmt: skip
"""Names for `Manner.fault`; a number is an answer of that status."""


@dataclass
class Manner:
    """How an engine behaves."""

    fault: str = ""
    """One of FAULTS, or a status as text."""
    refuses: str = "all"
    """What meets a fault that is a status: all, or wishes: not a request for one token (a farewell)."""
    times: int = -1
    """How many more requests meet the fault; all of them if negative."""
    seconds: float = 0.0
    """Before prefill or decode answer."""
    token_seconds: float = 0.0
    recomputes: int = 0
    """How many more answers are given up; all of them if negative."""
    recompute_after: int = 2
    """Tokens that an answer has when it is given up."""
    per_event: int = 1
    """Tokens per event, as with speculative decoding."""
    writes: str = "events"
    """events: one chunk and write each; coalesced: one write for all; split: chunks that tear events apart."""
    framing: str = "chunked"
    """Of streams: chunked, length, close."""
    usage: str = "asked"
    """asked: as the client wants it; null; none."""
    cached: int | None = 3
    """usage.prompt_tokens_details.cached_tokens of prefill."""
    early_head: bool = True
    """vLLM sends the head of a stream before it waits for anything."""
    callbacks: tuple[str, ...] = ("plain",)
    """What is posted to the metaserver: plain, suffix, sampled, unknown; again for every entry."""
    late_callback: bool = False
    """Post once more when the answer is complete."""
    health: int = 200
    """Status of /health; 0 never answers."""
    tokenize: bool = True
    closes_idle: float = 0.0
    """Close a connection that is idle for so many seconds, without a word before; 0 keeps it."""
    stop_reason: Any = None
    pad: int = 0
    """Bytes that each event is longer."""
    comments: float = 0.0
    """Seconds between the comments of a stream that waits (vLLM's --sse-keep-alive-interval); 0 sends none."""


@dataclass
class Seen:
    """A request that an engine received."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    finished: bool = False
    """Answered to the end."""
    left: float = 0.0
    """When the peer closed the connection before that."""
    sent: bytes = b""
    """The payload of the answer so far."""

    @property
    def farewell(self) -> bool:
        """Sent only so that prefill may free a KV cache that nobody needs."""
        parameters = self.body.get("kv_transfer_params") or {}
        return (
            "remote_request_id" in parameters and self.body.get("max_tokens") == 1 and self.body.get("min_tokens") == 0
        )

    @property
    def key(self) -> str:
        """The id that the proxy gave."""
        return self.headers.get("x-request-id", "")


class Fabric:
    """What engines of one service share: the KV cache on its way, and what should not have happened."""

    def __init__(self) -> None:
        """Empty."""
        self.arrived: dict[str, asyncio.Event] = {}
        self.posted: dict[str, dict[str, Any]] = {}
        self.offered: dict[str, dict[str, Any]] = {}
        self.held: set[str] = set()
        self.given_up: Counter[str] = Counter()
        self.problems: list[str] = []

    def arrival(self, key: str) -> asyncio.Event:
        """Set when the KV cache of a request is at decode."""
        return self.arrived.setdefault(key, asyncio.Event())


def word(tag: str, number: int) -> str:
    """One token of an answer."""
    return f" {tag}.{number}"


def answer_to(prompt: object, count: int, start: int = 0) -> str:
    """The tokens `start` to `count` of the answer to a prompt: text, token ids, or the list of messages of a chat."""
    original = prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True)
    tag = f"{zlib.crc32(original.encode()):08x}"
    return "".join(word(tag, number) for number in range(start, count))


@dataclass(frozen=True)
class Task:
    """What a request asks for."""

    original: object
    start: int
    count: int
    prompt_tokens: int
    limited: bool

    @classmethod
    def of(cls, body: Mapping[str, Any], chat: bool) -> Task:
        """Where the answer begins, when part of it is in the prompt already, and how long it is."""
        limit = body.get("max_completion_tokens") if chat else None
        limit = body.get("max_tokens") if limit is None else limit
        count = limit if isinstance(limit, int) else 16
        if chat:
            original, start = _unsaid_chat(body)
            return cls(original, start, count, len(json.dumps(original).split()) + start, True)
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
            prompt = prompt[0]
        if isinstance(prompt, list):
            own = [number for number in prompt if number < FIRST_ID]
            return cls(own, len(prompt) - len(own), count, len(prompt), True)
        text, start = _unsaid(str(prompt))
        return cls(text, start, count, len(text.split()) + start, True)

    def text(self, number: int, many: int) -> str:
        """`many` tokens from the one of that number within this answer."""
        return answer_to(self.original, self.start + number + many, self.start + number)


def _unsaid(text: str) -> tuple[str, int]:
    found = _WORDS.search(text)
    assert found is not None
    return text[: found.start()], len(found.group().split())


def _unsaid_chat(body: Mapping[str, Any]) -> tuple[list[Any], int]:
    messages = [dict(message) for message in body["messages"]]
    place = -1 if body.get("continue_final_message") else 0
    content = messages[place].get("content")
    if not isinstance(content, str):
        last: dict[str, Any] = content[-1] if isinstance(content, list) and content else {}
        text, start = _unsaid(last.get("text") or "")
        if start:
            messages[place]["content"] = [*(content or ())[:-1], *([{**last, "text": text}] if text else [])]
        return messages, start
    text, start = _unsaid(content)
    if not text and place == -1:
        messages.pop()
    else:
        messages[place]["content"] = text
    return messages, start


class Engine:
    """A prefill or decode instance on a loopback port that stays its own, even while it refuses connections."""

    def __init__(self, role: str, mode: str, fabric: Fabric, family: socket.AddressFamily = socket.AF_INET) -> None:
        """Nothing listens yet."""
        self.role, self.mode, self.fabric, self.manner = role, mode, fabric, Manner()
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._socket.bind((self.host, 0))
        self.port: int = self._socket.getsockname()[1]
        self.seen: list[Seen] = []
        self.farewells: list[Seen] = []
        self.alone = 0
        self.others: list[Seen] = []
        """Requests other than for completions; /health is only counted."""
        self.probes = 0
        self.statuses: list[int] = []
        """What the metaserver answered."""
        self.wires: set[Wire] = set()
        self.opened = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> list[Seen]:
        """Requests whose connection is open and whose answer is not complete."""
        return [seen for seen in (*self.seen, *self.farewells) if not seen.finished and not seen.left]

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Wire(self), sock=self._socket.dup())

    async def behave(self, manner: Manner) -> None:
        """Another manner from now on. An engine that refuses closes what is open, as a process that died."""
        refuses, refused = manner.fault == "refuse", self.manner.fault == "refuse"
        self.manner = manner
        if refuses and not refused:
            await self.stop()
            family, address = self._socket.family, self._socket.getsockname()
            self._socket.close()
            self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)  # bound but not listening: connections are refused, the port stays ours
        elif refused and not refuses:
            await self.start()

    async def stop(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for wire in list(self.wires):
            wire.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Give the port up."""
        self._socket.close()

    def take_fault(self) -> str:
        """The fault that the next request meets."""
        manner = self.manner
        if not manner.fault or manner.times == 0:
            return ""
        manner.times -= manner.times > 0
        return manner.fault

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that goes on when its request is aborted, as the connector's thread pool does."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def call_back(self, url: str, style: str, key: str, chat: bool) -> None:
        """Post the parameters of a request to the metaserver, as the connector does: the answer is not looked at."""
        identity = f"chatcmpl-{key}" if chat else f"cmpl-{key}-0"
        if style == "unknown":
            identity = "cmpl-00000000-0000-4000-8000-000000000000-0"
        elif style == "suffix":
            identity += "-1a2b3c4d"
        elif style == "sampled":
            identity = f"0_{identity}"
        parameters = {
            "token_ids": [], "request_id": identity, "do_remote_prefill": False, "do_remote_decode": True,
            "remote_block_ids": [[1, 2, 3]], "remote_block_size": [128], "remote_engine_id": f"engine-{self.port}",
            "remote_host": "127.0.0.1", "remote_port": self.port, "remote_cached_tokens": 0, "opaque": OPAQUE,
        }  # fmt: skip
        self.fabric.posted[identity] = parameters
        raw = json.dumps(parameters).encode()
        parts = urlsplit(url)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n".encode() + raw
        for _ in range(3):
            writer = None
            with contextlib.suppress(OSError, ValueError, IndexError):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(request)
                self.statuses.append(int((await reader.read()).split(b" ", 2)[1]))
                return
            if writer is not None:
                writer.close()


class Wire(asyncio.Protocol):
    """An engine's side of one connection."""

    def __init__(self, engine: Engine) -> None:
        """Made by its engine's listener."""
        self.engine = engine
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._seen: Seen | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._idle: asyncio.TimerHandle | None = None
        self.drop_next = False
        """Close without an answer when the next request comes: the keep-alive race."""

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Known to the engine."""
        self._transport = cast(asyncio.Transport, transport)
        self.engine.wires.add(self)
        self.engine.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Abort what was asked for, as vLLM does when its client goes."""
        self.engine.wires.discard(self)
        self._transport = None
        self._writable.set()
        if self._seen is not None and not self._seen.finished:
            self._seen.left = time.monotonic()
        if self._task is not None:
            self._task.cancel()
        if self._idle is not None:
            self._idle.cancel()

    def pause_writing(self) -> None:
        """The proxy reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It caught up."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """One request at a time; a second one before the answer is a fault of the proxy."""
        if self.drop_next:
            self.reset()
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() in headers:
                self.engine.fabric.problems.append(f"header {name} twice")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        if len(rest) > length or (self._task is not None and not self._task.done()):
            self.engine.fabric.problems.append("pipelined")
        self._buffer = b""
        method, target, _ = first.split(" ")
        self._task = asyncio.ensure_future(self._serve(method, target, headers, rest[:length]))

    # -- writing -------------------------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Write, and wait while the proxy does not read."""
        if self._transport is None or self._transport.is_closing():
            raise asyncio.CancelledError
        self._transport.write(data)
        await self._writable.wait()

    def reset(self) -> None:
        """Cut the connection with a RST."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    async def answer(self, status: int, value: object, seen: Seen | None = None) -> None:
        """A whole answer as JSON."""
        body = json.dumps(value).encode()
        if seen is not None:
            seen.sent = body
        await self.write(_head(status, len(body)) + body)

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _serve(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> None:
        engine = self.engine
        path = target.partition("?")[0]
        if path == "/health":
            engine.probes += 1
            if not engine.manner.health or engine.manner.fault == "black_hole":
                await asyncio.sleep(3600)
            await self.answer(engine.manner.health, {})
        elif path in ("/v1/completions", "/v1/chat/completions"):
            seen = self._seen = Seen(path, headers, raw, json.loads(raw))
            (engine.farewells if seen.farewell else engine.seen).append(seen)
            await self._complete(seen)
            seen.finished, self._seen = True, None
        else:
            seen = Seen(target, headers, raw, json.loads(raw) if raw else {})
            engine.others.append(seen)
            await self._other(method, path, seen)
        if headers.get("connection") == "close" and self._transport is not None:
            self._transport.close()
        elif engine.manner.closes_idle and self._transport is not None:
            self._idle = asyncio.get_running_loop().call_later(engine.manner.closes_idle, self._transport.close)

    async def _other(self, method: str, path: str, seen: Seen) -> None:
        manner = self.engine.manner
        if manner.fault.isdigit():
            await self.answer(int(manner.fault), {"error": "switched on"})
        elif path == "/v1/models" and method == "GET":
            await self.answer(200, MODELS)
        elif path == "/reset_prefix_cache" and method == "POST":
            await self.answer(200, None)
        elif path == "/tokenize" and method == "POST" and manner.tokenize:
            await self.answer(200, {"count": len(str(seen.body["prompt"]).split()), "tokens": []})
        else:
            await self.answer(404, {"detail": "Not Found"})

    async def _complete(self, seen: Seen) -> None:
        engine, fault = self.engine, self.engine.take_fault()
        if sum(other.key == seen.key for other in engine.running) > 1:
            engine.fabric.problems.append(f"{engine.role} runs {seen.key} twice")
        if seen.headers.get("content-type") != "application/json":
            engine.fabric.problems.append(f"{engine.role} got {seen.headers.get('content-type')}")
        if fault.isdigit() and not (seen.farewell and engine.manner.refuses == "wishes"):
            await self.answer(int(fault), refusal(int(fault)), seen)
        elif fault == "reset_before":
            self.reset()
        elif fault == "close_before" and self._transport is not None:
            self._transport.close()
        elif fault == "garbage":
            await self.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        elif fault in ("black_hole", "hang"):
            await asyncio.sleep(3600)
        elif fault == "slow_head":
            for byte in _head(200, 10)[:-4] * 100:
                await self.write(bytes((byte,)))
                await asyncio.sleep(0.05)
        elif fault in ("reset_after", "hang_after_head"):
            await self.write(_stream_head("chunked", 0) if seen.body.get("stream") else _head(200, 100))
            await asyncio.sleep(0.02 if fault == "reset_after" else 3600)
            self.reset()
        elif engine.role == "prefill":
            await self._prefill(seen, fault)
        else:
            await self._decode(seen, fault)
            return
        if fault in ("reset_before", "close_before", "reset_after", "garbage"):
            await asyncio.sleep(3600)

    # -- prefill -------------------------------------------------------------------------------------------------------

    async def _prefill(self, seen: Seen, fault: str) -> None:
        engine, body, chat = self.engine, seen.body, seen.path.endswith("/chat/completions")
        fabric, manner = engine.fabric, engine.manner
        wrong = [key for key in ("max_tokens", "min_tokens") if body.get(key) != 1]
        wrong += [key for key in ("max_completion_tokens", "n") if body.get(key, 1) != 1]
        wrong += [key for key in ("stream_options",) if key in body]
        wrong += ["stream"] if body.get("stream") is not False else []
        fabric.problems.extend(f"prefill got {key} {body.get(key)}" for key in wrong)
        parameters = body.get("kv_transfer_params") or {}
        identity = str(parameters.get("request_id"))
        if engine.mode == "layerwise":
            if seen.key not in identity:
                fabric.problems.append(f"prefill got id {seen.key} for {identity}")
            if fabric.posted.get(identity) != parameters:
                fabric.problems.append(f"prefill got other parameters than decode posted: {parameters}")
        elif parameters != _OFFER:
            fabric.problems.append(f"prefill got {parameters}")
        await asyncio.sleep(manner.seconds)
        if fault == "pushed_reset":
            fabric.arrival(seen.key).set()
            await asyncio.sleep(0.05)
            self.reset()
            await asyncio.sleep(3600)
        tokens = Task.of(body, chat).prompt_tokens
        usage: dict[str, Any] = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        if manner.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": manner.cached}
        value: dict[str, Any] = {"id": f"cmpl-{seen.key}", "choices": [], "usage": usage, "kv_transfer_params": None}
        if engine.mode == "standard":
            value["kv_transfer_params"] = fabric.offered[seen.key] = {
                "do_remote_prefill": True, "do_remote_decode": False, "remote_block_ids": [[4, 5]],
                "remote_engine_id": f"engine-{engine.port}", "remote_request_id": seen.key, "opaque": OPAQUE,
            }  # fmt: skip
        raw = json.dumps(value).encode()
        await self._send([_head(200, len(raw)), raw], fault)
        if engine.mode == "layerwise":
            fabric.arrival(seen.key).set()
        else:
            fabric.held.add(seen.key)

    # -- decode --------------------------------------------------------------------------------------------------------

    async def _decode(self, seen: Seen, fault: str) -> None:
        engine, body, chat = self.engine, seen.body, seen.path.endswith("/chat/completions")
        fabric, manner = engine.fabric, engine.manner
        if "manner" in body:  # of this request alone, over all its attempts
            manner = Manner(**body["manner"])
            manner.recomputes -= fabric.given_up[body["user"]] if manner.recomputes > 0 else 0
        if body.get("n", 1) != 1:
            fabric.problems.append("decode got n")
        task, stream = Task.of(body, chat), bool(body.get("stream"))
        parameters = dict(body.get("kv_transfer_params") or {})
        url = str(parameters.get("metaserver", ""))
        alone = not parameters
        engine.alone += alone
        early = stream and manner.early_head and manner.framing != "length" and fault != "trickle"
        if early:
            await self.write(_stream_head(manner.framing, 0))
            if manner.comments:
                engine.spawn(self._comment(manner.comments, seen))
        if alone:
            await asyncio.sleep(0)  # it prefills by itself
        elif engine.mode == "layerwise":
            if parameters != {"do_remote_decode": False, "do_remote_prefill": True, "metaserver": url}:
                fabric.problems.append(f"decode got {parameters}")
            for style in manner.callbacks:
                engine.spawn(engine.call_back(url, style, seen.key, chat))
            if manner.callbacks:
                await fabric.arrival(seen.key).wait()
                if fault == "pushed_reset":  # its KV cache is lost: whoever asks again has to be given another
                    del fabric.arrived[seen.key]
                    self.reset()
                    await asyncio.sleep(3600)
        else:
            identity = str(parameters.get("remote_request_id"))
            if parameters != fabric.offered.get(identity) or identity != seen.key:
                fabric.problems.append(f"decode got parameters that prefill did not offer: {parameters}")
            if identity not in fabric.held and not seen.farewell:  # those are sent when in doubt
                fabric.problems.append("decode fetches a KV cache that is gone")
            fabric.held.discard(identity)
        await asyncio.sleep(0 if seen.farewell else manner.seconds)
        gives_up = manner.recomputes != 0 and manner.recompute_after < task.count
        if gives_up:
            manner.recomputes -= manner.recomputes > 0
            fabric.given_up[str(body.get("user"))] += 1
            task = Task(task.original, task.start, manner.recompute_after, task.prompt_tokens, False)
        reason = "recomputed" if gives_up else manner.stop_reason
        if fault in ("error_first", "error_body"):
            await self._fail(seen, stream, fault)
            return
        if stream:
            events = _events(seen, task, manner, reason, chat)
            if fault == "error_later":
                events = [*events[: len(events) // 2], _event(refusal(500)), events[-1]]
            seen.sent = b"".join(events)
            parts = _framed(events, manner)
            if not early:
                parts = [_stream_head(manner.framing, len(seen.sent)), *parts]
            await self._send(parts, fault)
            if manner.framing == "close" and self._transport is not None:
                seen.finished = True
                self._transport.close()
        else:
            raw = seen.sent = json.dumps(_whole(seen, task, manner, reason, chat)).encode()
            await self._send([_head(200, len(raw)), raw], fault)
        if manner.late_callback:
            seen.finished = True
            engine.spawn(engine.call_back(url, "plain", seen.key, chat))

    async def _comment(self, pause: float, seen: Seen) -> None:
        while not seen.sent and not seen.left and self._transport is not None:
            self._transport.write(_chunked(b": keep-alive\n\n"))
            await asyncio.sleep(pause)

    async def _fail(self, seen: Seen, stream: bool, fault: str) -> None:
        """What vLLM says when it cannot load a KV cache: 500, or an event in a stream that has begun."""
        if not stream:
            await self.answer(200 if fault == "error_body" else 500, refusal(500), seen)
            return
        seen.sent = _event(refusal(500)) + b"data: [DONE]\n\n"
        await self.write(_chunked(_event(refusal(500))) + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async def _send(self, parts: Sequence[bytes], fault: str) -> None:
        """The parts of an answer, one write each; or what a fault leaves of them."""
        if fault in ("cut_reset", "cut_close"):
            parts = [parts[0], parts[1][: len(parts[1]) // 2]] if len(parts) == 2 else parts[: len(parts) // 2]
            for part in parts:
                await self.write(part)
            await asyncio.sleep(0.02)
            if fault == "cut_close" and self._transport is not None:
                self._transport.close()
            self.reset()
            await asyncio.sleep(3600)
        elif fault == "trickle":
            for number, byte in enumerate(b"".join(parts)):
                await self.write(bytes((byte,)))
                await asyncio.sleep(0.001 if number % 16 == 0 else 0)
        else:
            for number, part in enumerate(parts):
                if number and self.engine.manner.token_seconds:
                    await asyncio.sleep(self.engine.manner.token_seconds)
                await self.write(part)


def refusal(status: int) -> dict[str, Any]:
    """The body of an answer of that status."""
    return {"error": {"message": f"engine says {status} «ü»", "type": "BadRequestError", "param": None, "code": status}}


def _event(value: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode()


def _chunked(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _head(status: int, length: int) -> bytes:
    lines = f"HTTP/1.1 {status} Whatever\r\ndate: today\r\nserver: uvicorn\r\ncontent-length: {length}\r\n"
    return f"{lines}content-type: application/json\r\nx-engine: yes\r\n\r\n".encode()


def _stream_head(framing: str, length: int) -> bytes:
    lines = "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-engine: yes\r\n"
    rest = {"chunked": "transfer-encoding: chunked\r\n", "length": f"content-length: {length}\r\n", "close": ""}
    return f"{lines}{rest[framing]}\r\n".encode()


def _framed(events: Sequence[bytes], manner: Manner) -> list[bytes]:
    """The writes that carry a stream's events."""
    if manner.writes == "split":
        whole = b"".join(events)
        events = [whole[at : at + 37] for at in range(0, len(whole), 37)]
    if manner.framing == "chunked":
        parts = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
        parts.append(b"0\r\n\r\n")
    else:
        parts = list(events)
    return [b"".join(parts)] if manner.writes == "coalesced" else parts


def _usage(task: Task, completion: int) -> dict[str, Any]:
    prompt = task.prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _choice(seen: Seen, task: Task, number: int, many: int, part: str, chat: bool) -> dict[str, Any]:
    """Tokens of an answer as a choice; `part` is delta or message in a chat."""
    text = task.text(number, many)
    if seen.body.get("echo") and number == 0:
        text = f"{seen.body['prompt']}{text}"
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": None, "stop_reason": None}
    words = [task.text(number + k, 1) for k in range(many)]
    if chat:
        choice[part] = {"content": text}
        if seen.body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": each, "logprob": -0.5} for each in words]}
    else:
        choice["text"] = text
        if seen.body.get("logprobs"):
            choice["logprobs"] = {"tokens": words, "token_logprobs": [-0.5] * many, "top_logprobs": None}
    if seen.body.get("return_token_ids"):
        choice["token_ids"] = [FIRST_ID + task.start + number + k for k in range(many)]
    return choice


def _about(seen: Seen, chat: bool) -> dict[str, Any]:
    kind = "chat.completion" if chat else "text_completion"
    created = int(seen.began * 1000)
    return {"id": f"{'chatcmpl' if chat else 'cmpl'}-{seen.key}", "object": kind, "created": created, "model": "qwen"}


def _events(seen: Seen, task: Task, manner: Manner, reason: Any, chat: bool) -> list[bytes]:
    """All events of a stream: for a chat a greeting, tokens, the end, usage if asked for, [DONE]."""
    about = _about(seen, chat)
    options = seen.body.get("stream_options") or {}
    values: list[dict[str, Any]] = []
    if chat:
        greeting = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        values.append({**about, "choices": [greeting]})
    for number in range(0, task.count, manner.per_event):
        many = min(manner.per_event, task.count - number)
        value = {**about, "choices": [_choice(seen, task, number, many, "delta", chat)]}
        if options.get("continuous_usage_stats"):
            value["usage"] = _usage(task, number + many)
        if manner.pad:
            value["pad"] = "x" * manner.pad
        values.append(value)
    if reason == "recomputed":
        empty: dict[str, Any] = {"delta": {"content": ""}} if chat else {"text": ""}
        values.append({**about, "choices": [{"index": 0, **empty, "finish_reason": "stop", "stop_reason": reason}]})
    elif task.count:
        values[-1]["choices"][0].update(finish_reason="length" if reason is None else "stop", stop_reason=reason)
    if options.get("include_usage") and manner.usage == "asked":
        values.append({**about, "choices": [], "usage": _usage(task, task.count)})
    raw = [b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode() for value in values]
    return [*raw, b"data: [DONE]\n\n"]


def _whole(seen: Seen, task: Task, manner: Manner, reason: Any, chat: bool) -> dict[str, Any]:
    """A whole answer."""
    choice = _choice(seen, task, 0, task.count, "message", chat)
    if chat:
        choice["message"] = {"role": "assistant", **choice["message"]}
    choice.update(finish_reason="length" if reason is None else "stop", stop_reason=reason)
    value: dict[str, Any] = {**_about(seen, chat), "choices": [choice]}
    if manner.usage != "none":
        value["usage"] = _usage(task, task.count) if manner.usage == "asked" else None
    return value
