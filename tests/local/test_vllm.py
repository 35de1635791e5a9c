"""The stand-in for vLLM, where a service as a whole cannot show it."""

from __future__ import annotations

import socket

from stormc.local.vllm import Engine, settings_of

PRODUCER = ["serve", "/m", "--served-model-name=m", "--host=127.0.0.1", "--port=1"]


async def test_prefill_answers_also_where_decode_is_gone() -> None:
    """Its push fails, as it does in a thread of vllm-ascend; the request itself is not lost with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    params = {"remote_host": "127.0.0.1", "remote_port": port, "request_id": "r"}
    settings = settings_of(PRODUCER)
    assert settings is not None and await Engine(settings).prefill("cmpl-r", params) == {}
