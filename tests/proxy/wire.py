"""An engine's side of a connection: one request at a time, with whatever fault is switched on."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from tests.proxy.answers import (
    Task,
    chunked,
    event,
    events_of,
    framed,
    framing_of,
    head,
    packed,
    refusal,
    stream_head,
    whole,
)
from tests.proxy.manner import OPAQUE, Manner, Seen

if TYPE_CHECKING:
    from tests.proxy.engine import Engine

MODELS = {"object": "list", "data": [{"id": "qwen", "object": "model"}]}
_OFFER = {
    "do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
    "remote_host": None, "remote_port": None,
}  # fmt: skip


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
        await self.write(b"".join(self._parts(status, body)))

    def _parts(self, status: int, body: bytes) -> list[bytes]:
        """Head and body of a whole answer."""
        body = packed([body], self.engine.manner)[0]
        return [head(status, len(body), self.engine.manner), body]

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
        elif fault == "banner":
            await self.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        elif fault == "line_feeds":
            await self.write(b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}")
        elif fault == "coding":
            await self.write(stream_head(engine.manner, 0).replace(b": chunked", b": br, chunked") + chunked(b"?"))
        elif fault in ("black_hole", "hang"):
            await asyncio.sleep(3600)
        elif fault == "slow_head":
            for byte in head(200, 10, self.engine.manner)[:-4] * 100:
                await self.write(bytes((byte,)))
                await asyncio.sleep(0.05)
        elif fault in ("reset_after", "hang_after_head"):
            await self.write(
                stream_head(self.engine.manner, 0) if seen.body.get("stream") else head(200, 100, self.engine.manner)
            )
            await asyncio.sleep(0.02 if fault == "reset_after" else 3600)
            self.reset()
        elif engine.role == "prefill":
            await self._prefill(seen, fault)
        else:
            await self._decode(seen, fault)
            return
        if fault in ("reset_before", "close_before", "reset_after", "garbage", "banner", "line_feeds", "coding"):
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
        await self._send(self._parts(200, raw), fault)
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
        late = fault in ("trickle", "other_kind", "says")
        early = stream and manner.early_head and manner.framing != "length" and not late
        if early:
            named = stream_head(manner, 0)
            await self.write(named.replace(b"text/event-stream", b"text/plain") if fault == "unnamed" else named)
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
        if fault == "says":
            said, named = manner.says.encode(), head(200, len(manner.says), manner)
            if manner.framing == "chunked":
                named = named.replace(b"content-length: %d" % len(said), b"transfer-encoding: chunked")
                said = (chunked(said) if said else b"") + b"0\r\n\r\n"
            await self.write(named + said)
            return
        if fault in ("error_first", "error_body", "nothing", "nonsense"):
            await self._fail(seen, stream, fault)
            return
        if (fault == "other_kind") != stream:
            events = events_of(seen, task, manner, reason, chat)
            if fault == "error_later":
                events = [*events[: len(events) // 2], event(refusal(500)), events[-1]]
            seen.sent = b"".join(events)
            parts = framed(events, manner)
            if not early:
                parts = [stream_head(manner, len(seen.sent)), *parts]
            await self._send(parts, fault)
            if framing_of(manner) == "close" and self._transport is not None:
                seen.finished = True
                self._transport.close()
        else:
            raw = seen.sent = json.dumps(whole(seen, task, manner, reason, chat)).encode()
            raw = raw[: len(raw) // 2] if fault == "half_body" else raw
            await self._send(self._parts(200, raw), fault)
        if manner.late_callback:
            seen.finished = True
            engine.spawn(engine.call_back(url, "plain", seen.key, chat))

    async def _comment(self, pause: float, seen: Seen) -> None:
        while not seen.sent and not seen.left and self._transport is not None:
            self._transport.write(chunked(b": keep-alive\n\n"))
            await asyncio.sleep(pause)

    async def _fail(self, seen: Seen, stream: bool, fault: str) -> None:
        """What vLLM says when it cannot load a KV cache: 500, or an event in a stream that has begun."""
        if fault in ("nothing", "nonsense"):
            seen.sent = b"" if fault == "nothing" else b"engine says nothing"
            await self.write(b"0\r\n\r\n" if stream else b"".join(self._parts(200, seen.sent)))
            return
        if not stream:
            await self.answer(200 if fault == "error_body" else 500, refusal(500), seen)
            return
        seen.sent = event(refusal(500)) + b"data: [DONE]\n\n"
        await self.write(chunked(event(refusal(500))) + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")

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
        elif fault in ("cut_cleanly", "no_done"):
            for part in (*parts[: len(parts) // 2 if fault == "cut_cleanly" else -2], b"0\r\n\r\n"):
                await self.write(part)
        elif fault == "trickle":
            for number, byte in enumerate(b"".join(parts)):
                await asyncio.sleep(0.001 if number % 16 == 0 else 0)
                await self.write(bytes((byte,)))
        else:
            for number, part in enumerate(parts):
                if number and self.engine.manner.token_seconds:
                    await asyncio.sleep(self.engine.manner.token_seconds)
                await self.write(part)
