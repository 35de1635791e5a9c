"""A stand-in for vLLM in a local run: the OpenAI API, /health and the handshakes of KV connectors, without a model.

    vllm serve MODEL --port=8080 --served-model-name=NAME --kv-transfer-config={...} [--headless] ...

A decode instance tells the proxy's metaserver (layerwise) or asks the prefill instance (standard) before it answers,
and answers only when KV cache really "arrived", so a wrong topology shows as in a cluster: nothing comes. The answer
says which pod wrote it. Standard library only: dozens of these have to start at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from stormc.record import NamedTuple

LOAD_SECONDS = 0.5
HANDSHAKE_SECONDS = 30.0


class Settings(NamedTuple):
    """What the command line says."""

    model: str
    host: str
    port: int
    connector: str
    role: str
    rank: int


def settings_of(arguments: Sequence[str]) -> Settings | None:
    """The settings of `serve MODEL --flag=value ...`; None for a headless worker, which serves nothing."""
    if arguments[:1] != ["serve"] or len(arguments) < 2 or arguments[1].startswith("-"):
        raise SystemExit("usage: vllm serve MODEL [--flag=value ...]")
    flags = dict(word[2:].partition("=")[::2] for word in arguments[2:])
    if "headless" in flags:
        return None
    transfer = json.loads(flags.get("kv-transfer-config", "{}"))
    return Settings(
        model=flags.get("served-model-name", arguments[1]),
        host=flags.get("host", "127.0.0.1"),
        port=int(flags.get("port", "8000")),
        connector=transfer.get("kv_connector", ""),
        role=transfer.get("kv_role", ""),
        rank=int(flags.get("data-parallel-rank", "0")),
    )


async def call(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POSTs a JSON object and returns the one that comes back, empty if none does. Raises OSError."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        content = json.dumps(body).encode()
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
        await writer.drain()
        answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
    try:
        value = json.loads(answer)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class Engine:
    """One API server: one process, one port, one data-parallel rank."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"{os.environ.get('ROLE_NAME', 'engine')}-{os.environ.get('ROLE_REPLICA_INDEX', '0')}"
        if "POD_GROUP_INDEX" in os.environ:
            self.name += f"-{os.environ['POD_GROUP_INDEX']}"
        self.arrivals: dict[str, asyncio.Event] = {}
        self.stored: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client connection, request after request."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *rest = head.decode("latin-1").split("\r\n")
                path = first.split(" ")[1].partition("?")[0]
                headers = {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
                body = await reader.readexactly(int(headers.get("content-length") or 0))
                await self.answer(path, headers, json.loads(body) if body else {}, writer)
                if headers.get("connection", "").lower() == "close":
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    async def answer(
        self, path: str, headers: Mapping[str, str], body: Mapping[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        """Answers one request."""
        if path in ("/v1/completions", "/v1/chat/completions"):
            await self.generate(path.endswith("chat/completions"), headers.get("x-request-id", ""), body, writer)
        elif path == "/health":
            await send(writer, 200, {})
        elif path == "/v1/models":
            await send(writer, 200, {"object": "list", "data": [{"id": self.settings.model, "object": "model"}]})
        elif path == "/_kv":
            await self.transfer(str(body.get("request_id")), writer)
        elif path == "/reset_prefix_cache":
            await send(writer, 200, {})
        else:
            await send(writer, 404, {"error": {"message": "not found", "code": 404}})

    async def transfer(self, request: str, writer: asyncio.StreamWriter) -> None:
        """The other side of a KV transfer: a push that arrives here, or a pull of what is kept here."""
        if self.settings.role == "kv_consumer":
            self.arrivals.setdefault(request, asyncio.Event()).set()
            await send(writer, 200, {})
        else:
            known = request in self.stored
            self.stored.discard(request)
            await send(writer, 200 if known else 404, {})

    async def generate(self, chat: bool, request: str, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        """A completion, after the handshake that the connector demands."""
        model = body.get("model")
        if model != self.settings.model:
            message = f"The model `{model}` does not exist."
            await send(writer, 404, {"error": {"message": message, "type": "NotFoundError", "code": 404}})
            return
        params = body.get("kv_transfer_params") or {}
        ident = f"chatcmpl-{request}" if chat else f"cmpl-{request}-0"
        extra: dict[str, Any] = {}
        if params.get("do_remote_decode"):
            extra = {"kv_transfer_params": await self.prefill(ident, params)}
        elif params.get("do_remote_prefill") and not await self.receive(ident, params):
            message = "KV cache did not arrive"
            await send(writer, 500, {"error": {"message": message, "type": "InternalServerError", "code": 500}})
            return
        prompt = body.get("messages") if chat else body.get("prompt")
        size = len(json.dumps(prompt))
        words = f" This is {self.name} rank {self.settings.rank}: your prompt has {size} bytes.".split(" ")[1:]
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        tokens = [f" {word}" for word in words][: int(limit)]
        usage = {"prompt_tokens": size // 4, "completion_tokens": len(tokens), "total_tokens": size // 4 + len(tokens)}
        if not body.get("stream"):
            text = "".join(tokens)
            choice: dict[str, Any] = {"index": 0, "finish_reason": "length" if len(tokens) == int(limit) else "stop"}
            choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            await send(writer, 200, {**self.frame(ident, chat, False), "choices": [choice], "usage": usage, **extra})
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for position, token in enumerate(tokens):
            last = "stop" if position == len(tokens) - 1 else None
            piece: dict[str, Any] = {"delta": {"content": token}} if chat else {"text": token}
            event = {**self.frame(ident, chat, True), "choices": [{"index": 0, **piece, "finish_reason": last}]}
            await chunk(writer, f"data: {json.dumps(event)}\n\n")
        if (body.get("stream_options") or {}).get("include_usage"):
            event = {**self.frame(ident, chat, True), "choices": [], "usage": usage}
            await chunk(writer, f"data: {json.dumps(event)}\n\n")
        await chunk(writer, "data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def frame(self, ident: str, chat: bool, stream: bool) -> dict[str, Any]:
        """The fields that every answer has."""
        kind = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"
        return {"id": ident, "object": kind, "created": 0, "model": self.settings.model}

    async def prefill(self, ident: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The producer's part: pushes to the decode instance that asked, or keeps the KV cache until one asks.

        Whether the push arrives is no matter of the answer: vllm-ascend sends from a thread of its own
        (mooncake_layerwise_connector.py), which logs what fails.
        """
        if params.get("remote_host"):
            url = f"http://{params['remote_host']}:{params['remote_port']}/_kv"
            with contextlib.suppress(OSError):
                await call(url, {"request_id": params["request_id"]})
            return {}
        self.stored.add(ident)
        return {
            "do_remote_prefill": True, "do_remote_decode": False, "remote_request_id": ident,
            "remote_engine_id": self.name, "remote_host": self.settings.host, "remote_port": self.settings.port,
            "remote_block_ids": [[0]],
        }  # fmt: skip

    async def receive(self, ident: str, params: Mapping[str, Any]) -> bool:
        """The consumer's part; whether the KV cache arrived."""
        if "metaserver" not in params:
            url = f"http://{params['remote_host']}:{params['remote_port']}/_kv"
            await call(url, {"request_id": params["remote_request_id"]})
            return True
        arrived = self.arrivals.setdefault(ident, asyncio.Event())
        mine = {
            "token_ids": [], "request_id": ident, "do_remote_prefill": False, "do_remote_decode": True,
            "remote_block_ids": [[0]], "remote_block_size": [128], "remote_engine_id": self.name,
            "remote_host": self.settings.host, "remote_port": self.settings.port, "remote_tp_size": 1,
        }  # fmt: skip
        notice = asyncio.create_task(call(params["metaserver"], mine))
        try:
            await asyncio.wait_for(arrived.wait(), HANDSHAKE_SECONDS)
            return True
        except TimeoutError:
            return False
        finally:
            del self.arrivals[ident]
            notice.add_done_callback(lambda task: task.cancelled() or task.exception())


async def send(writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any]) -> None:
    """One JSON answer."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()


async def chunk(writer: asyncio.StreamWriter, text: str) -> None:
    """One chunk of a stream."""
    content = text.encode()
    writer.write(b"%x\r\n%b\r\n" % (len(content), content))
    await writer.drain()


async def run(settings: Settings) -> None:
    """Serves until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await asyncio.sleep(LOAD_SECONDS)
    server = await asyncio.start_server(Engine(settings).serve, settings.host, settings.port, backlog=1024)
    print(f"serving {settings.model} on {settings.host}:{settings.port}", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    settings = settings_of(sys.argv[1:])
    if settings is None:
        signal.pause()
    else:
        asyncio.run(run(settings))
