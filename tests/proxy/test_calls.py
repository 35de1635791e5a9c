"""How much Python a request costs: calls of the proxy's own functions, which no busy machine changes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import stormc_proxy
from stormc_proxy.edge.server import Server
from stormc_proxy.settings import Address, Settings
from tests.proxy.speed.engines import TOKENS, Engine
from tests.proxy.speed.load import Client

ROOT = str(Path(stormc_proxy.__file__).parent)
REQUESTS = 40


async def calls_per_answer(mode: str, stream: bool) -> float:
    """Calls of functions of the proxy, coroutines that go on included, in a row of requests on one connection."""
    loop = asyncio.get_running_loop()
    engines = [await loop.create_server(Engine, "127.0.0.1", 0) for _ in range(2)]
    prefill, decode = (Address("127.0.0.1", each.sockets[0].getsockname()[1]) for each in engines)
    settings = Settings(mode=mode, host="127.0.0.1", port=0, metaserver_port=0, prefill=(prefill,), decode=(decode,),
                        access_log=False)  # fmt: skip
    server = Server(settings, None, loop)
    await server.listen()
    body = json.dumps({"model": "m", "prompt": "p" * 2048, "max_tokens": TOKENS, "stream": stream, "pause_ms": 1})
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    _, client = await loop.create_connection(lambda: Client((head + body).encode(), stream), "127.0.0.1", server.port)
    count = 0

    def counted(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call" and _is_ours(frame.f_code)

    try:
        for _ in range(3):
            await client.ask()
        sys.setprofile(counted)
        for _ in range(REQUESTS):
            await client.ask()
        return count / REQUESTS
    finally:
        sys.setprofile(None)
        client.transport.close()
        await server.stop()
        for each in engines:
            each.close()


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(ROOT)


@pytest.mark.parametrize(("mode", "stream", "most"), [
    ("standard", False, 180), ("layerwise", False, 192), ("standard", True, 240 + 6.5 * TOKENS),
])  # fmt: skip
async def test_a_request_takes_no_more_python_than_it_did(mode: str, stream: bool, most: float) -> None:
    assert await calls_per_answer(mode, stream) <= most
