"""A conversation through a running proxy: one prefill instance, and what log, metrics and status say of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.client import ask
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

MODES = pytest.mark.parametrize("mode", ["layerwise", "standard"])


async def _converse(s: Service, turns: int, headers: dict[str, str] | None = None) -> None:
    messages: list[dict[str, str]] = [{"role": "system", "content": "You help. " + "Rules. " * 60}]
    for turn in range(turns):
        messages.append({"role": "user", "content": f"question {turn} " + "word " * 40})
        reply = await s.ask({"model": "m", "messages": messages, "max_tokens": 4}, headers)
        assert reply.status == 200
        messages.append({"role": "assistant", "content": f"answer {turn} " + "text " * 40})
        await until(lambda: not any(i.load for i in s.server.router.prefill))


def _served(s: Service) -> list[int]:
    return [len(engine.seen) for engine in s.prefill]


@MODES
async def test_a_conversation_has_one_prefill_instance(mode: str) -> None:
    async with service(mode, prefill=4) as s:
        await _converse(s, 8)
        assert sorted(_served(s)) == [0, 0, 0, 8]


@MODES
async def test_weight_zero_chooses_by_load_alone(mode: str) -> None:
    async with service(mode, prefill=4, prefix_weight=0.0) as s:
        await _converse(s, 8)
        assert _served(s) == [2, 2, 2, 2]
        assert len(s.server.router.affinity.index) == 0


@MODES
async def test_a_session_header_keeps_prompts_without_a_common_text_together(mode: str) -> None:
    async with service(mode, prefill=4) as s:
        for number in range(6):
            body: dict[str, Any] = {"model": "m", "prompt": f"{number} " * 30, "max_tokens": 2}
            assert (await s.ask(body, {"X-Session-ID": "one"})).status == 200
            await until(lambda: not any(i.load for i in s.server.router.prefill))
        assert sorted(_served(s)) == [0, 0, 0, 6]


@MODES
async def test_what_was_cached_is_visible(mode: str) -> None:
    async with service(mode, manner=Manner(cached=3)) as s:
        await _converse(s, 3)
        records = s.requests()
        assert [record["cached_tokens"] for record in records] == [3, 3, 3]
        assert records[0]["cached_tokens_estimated"] == 0 < records[2]["cached_tokens_estimated"]
        prefix = (await ask(s.port, "GET", "/status")).json["prefix"]
        assert prefix["weight"] == 5 and 0 < prefix["keys"] < 10 and prefix["bytes"] > 0
        assert prefix["reportedTokens"] == 9 and 0 < prefix["estimatedTokens"] < prefix["promptTokens"]
        metrics = (await ask(s.port, "GET", "/metrics")).body.decode()
        assert f"stormc_proxy_cached_tokens_estimated_total {prefix['estimatedTokens']}\n" in metrics
        assert "stormc_proxy_cached_tokens_reported_total 9\n" in metrics
        assert f"stormc_proxy_prefix_keys {prefix['keys']}\n" in metrics


async def test_an_engine_that_tells_nothing_is_not_compared() -> None:
    async with service("layerwise", manner=Manner(cached=None)) as s:
        await _converse(s, 3)
        assert [record["cached_tokens"] for record in s.requests()] == [None] * 3
        assert s.server.router.affinity.prompt_tokens == 0


async def test_a_reset_of_the_caches_is_a_reset_of_the_memory() -> None:
    async with service("layerwise", admin_token="sesame") as s:
        await _converse(s, 2)
        assert len(s.server.router.affinity.index) > 0
        await ask(s.port, "POST", "/reset_prefix_cache", None, {"Authorization": "Bearer sesame"})
        assert len(s.server.router.affinity.index) == 0


@MODES
async def test_a_conversation_leaves_an_instance_that_fails(mode: str) -> None:
    async with service(mode, prefill=3) as s:
        await _converse(s, 3)
        first = next(engine for engine in s.prefill if engine.seen)
        await first.behave(Manner(fault="refuse"))
        await _converse(s, 3)
        assert sorted(len(engine.seen) for engine in s.prefill if engine is not first) == [0, 3]
