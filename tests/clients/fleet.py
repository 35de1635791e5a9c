"""Engines that speak every API, and a proxy in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from stormc_proxy.edge.server import Server
from stormc_proxy.settings import Address, Settings, checked
from stormc_proxy.telemetry.journal import Journal
from tests.clients.dialects import announcements, events, failure, whole

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Engine:
    """A prefill or decode engine.

    `status` other than 200 refuses; a stream breaks off after `cut` events, or ends with an error after `fails`.
    """

    def __init__(self, role: str, prefilled: dict[str, asyncio.Event]) -> None:
        """Engines that share `prefilled` know whose KV cache has arrived."""
        self.role, self._prefilled = role, prefilled
        self.status, self.cut, self.pause, self.port = 200, 0, 0.0, 0
        self.fails: int | None = None
        self.seen: list[dict[str, Any]] = []
        self.left = 0
        self._runner = web.ServerRunner(web.Server(self._answer, handler_cancellation=True))

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({})
        body = await request.json()
        self.seen.append(body)
        if self.status != 200:
            return web.json_response({"error": {"message": "the engine refuses", "type": "x", "code": self.status}},
                                     status=self.status)  # fmt: skip
        found = UUID.search(f"{body.get('request_id')} {request.headers.get('X-Request-Id')}")
        assert found is not None
        if self.role == "prefill":
            return self._prefill(found.group(), body)
        try:
            return await self._decode(request, found.group(), body)
        except (ConnectionError, asyncio.CancelledError):
            self.left += 1
            raise

    def _prefill(self, key: str, body: dict[str, Any]) -> web.Response:
        assert body["stream"] is False
        assert 1 in [body.get(name) for name in ("max_tokens", "max_output_tokens")]
        self._prefilled.setdefault(key, asyncio.Event()).set()
        offer = {"remote_host": "127.0.0.1", "remote_port": 1, "remote_block_ids": [[1]], "remote_engine_id": "e"}
        return web.json_response({"kv_transfer_params": offer, "usage": {"prompt_tokens": 9, "completion_tokens": 1}})

    async def _call_back(self, url: str, told: dict[str, Any]) -> None:
        await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session:
            await session.post(url, json=told)
        key = str(told["request_id"]).removeprefix("chatcmpl-")
        await asyncio.wait_for(self._prefilled.setdefault(key, asyncio.Event()).wait(), 10)

    async def _decode(self, request: web.BaseRequest, key: str, body: dict[str, Any]) -> web.StreamResponse:
        parameters = body["kv_transfer_params"]
        if "metaserver" in parameters:
            told = {
                "request_id": f"chatcmpl-{key}",
                "remote_host": "127.0.0.1",
                "remote_port": 1,
                "do_remote_decode": True,
            }
            calling = asyncio.ensure_future(self._call_back(parameters["metaserver"], told))
        else:
            calling = asyncio.ensure_future(asyncio.sleep(0))
        if not body.get("stream"):
            await calling
            await asyncio.sleep(self.pause * 8)
            return web.json_response(whole(request.path, body))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(events(request.path, body)):
            if number == announcements(request.path):
                await calling
            if number == self.fails:
                await response.write(failure(request.path))
                return response
            if self.cut and number == self.cut:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(event)
            await asyncio.sleep(self.pause)
        return response


class Fleet:
    """A running proxy and its engines."""

    def __init__(self, server: Server, prefill: list[Engine], decode: list[Engine]) -> None:
        """The proxy listens on `url`."""
        self.server, self.prefill, self.decode = server, prefill, decode
        self.url = f"http://127.0.0.1:{server.port}"


@contextlib.asynccontextmanager
async def fleet(mode: str) -> AsyncIterator[Fleet]:
    """Two engines of each role behind a proxy."""
    prefilled: dict[str, asyncio.Event] = {}
    prefill, decode = ([Engine(role, prefilled) for _ in range(2)] for role in ("prefill", "decode"))
    for engine in (*prefill, *decode):
        await engine.start()
    addresses = [tuple(Address("127.0.0.1", engine.port) for engine in engines) for engines in (prefill, decode)]
    known = checked(Settings(mode=mode, host="127.0.0.1", port=0, prefill=addresses[0], decode=addresses[1],
                             probe_interval_seconds=60.0))  # fmt: skip
    loop = asyncio.get_running_loop()
    server = Server(known, None, loop, journal=Journal(loop, io.StringIO()))
    await server.start()
    await server.listen()
    try:
        yield Fleet(server, prefill, decode)
    finally:
        await server.stop()
        for engine in (*prefill, *decode):
            await engine.stop()


def arguments(text: str) -> object:
    """Of a tool call, as a value."""
    return json.loads(text)
