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
import socket
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from tests.proxy.manner import OPAQUE, Fabric, Manner, Seen
from tests.proxy.wire import Wire


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
            with contextlib.suppress(OSError, ValueError, IndexError):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    writer.write(request)
                    self.statuses.append(int((await reader.read()).split(b" ", 2)[1]))
                    return
                finally:
                    writer.close()
