"""anthropic, openai's Responses, langchain-openai and litellm: answers, streams, tools, faults, in both modes."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import litellm
import openai
import pytest
from langchain_openai import ChatOpenAI

from tests.clients.dialects import ARGUMENTS, WORDS
from tests.clients.fleet import Fleet, arguments, fleet
from tests.proxy.service import until

MODES = pytest.mark.parametrize("mode", ["layerwise", "standard"])
TEXT = "".join(WORDS)
ASKED: list[Any] = [{"role": "user", "content": "How is the weather in Bern?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "function": {"name": "weather", "description": "w", "parameters": SCHEMA}}
CLAUDE_TOOL: Any = {"name": "weather", "description": "w", "input_schema": SCHEMA}


def claude(f: Fleet) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=f.url, api_key="mine", max_retries=0)


def chain(f: Fleet, **more: Any) -> ChatOpenAI:
    settings: dict[str, Any] = {"model": "qwen", "base_url": f"{f.url}/v1", "api_key": "mine", "max_retries": 0}
    return ChatOpenAI(**settings, **more)


# -- anthropic ---------------------------------------------------------------------------------------------------------


@MODES
async def test_anthropic_answers_streams_and_calls_tools(mode: str) -> None:
    async with fleet(mode) as f, claude(f) as ai:
        said = await ai.messages.create(model="qwen", max_tokens=50, messages=ASKED)
        assert said.content[0].text == TEXT and said.usage.output_tokens == 4
        async with ai.messages.stream(model="qwen", max_tokens=50, messages=ASKED) as stream:
            assert [word async for word in stream.text_stream] == list(WORDS)
            assert (await stream.get_final_message()).stop_reason == "end_turn"
        called = await ai.messages.create(model="qwen", max_tokens=50, messages=ASKED, tools=[CLAUDE_TOOL])
        assert called.stop_reason == "tool_use" and called.content[0].input == {"city": "Bern"}
        async with ai.messages.stream(model="qwen", max_tokens=50, messages=ASKED, tools=[CLAUDE_TOOL]) as stream:
            assert (await stream.get_final_message()).content[0].input == {"city": "Bern"}
        assert len([body for engine in f.prefill for body in engine.seen]) == 4


@MODES
async def test_anthropic_raises_what_went_wrong(mode: str) -> None:
    async with fleet(mode) as f, claude(f) as ai:
        for engine in f.decode:
            engine.status = 400
        with pytest.raises(anthropic.BadRequestError, match="the engine refuses"):
            await ai.messages.create(model="qwen", max_tokens=50, messages=ASKED)
        for engine in f.decode:
            engine.status, engine.cut = 200, 4
        heard = []
        with pytest.raises(anthropic.APIError):
            async with ai.messages.stream(model="qwen", max_tokens=50, messages=ASKED) as stream:
                async for word in stream.text_stream:
                    heard.append(word)
        assert heard == list(WORDS[:2])


@MODES
async def test_anthropic_that_stops_listening_stops_the_engine(mode: str) -> None:
    async with fleet(mode) as f, claude(f) as ai:
        for engine in f.decode:
            engine.pause = 0.2
        async with ai.messages.stream(model="qwen", max_tokens=50, messages=ASKED) as stream:
            async for _ in stream.text_stream:
                break
        await until(lambda: sum(engine.left for engine in f.decode) == 1, 5)
        await until(lambda: not any(i.active for pool in f.server.router.pools.values() for i in pool), 5)


# -- openai: Responses -------------------------------------------------------------------------------------------------


@MODES
async def test_openai_responses(mode: str) -> None:
    async with fleet(mode) as f, openai.AsyncOpenAI(base_url=f"{f.url}/v1", api_key="mine", max_retries=0) as ai:
        assert (await ai.responses.create(model="qwen", input="How is the weather?")).output_text == TEXT
        stream = await ai.responses.create(model="qwen", input="How is the weather?", stream=True)
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert deltas == list(WORDS)


# -- langchain ---------------------------------------------------------------------------------------------------------


@MODES
async def test_langchain_invokes_streams_batches_and_calls_tools(mode: str) -> None:
    async with fleet(mode) as f:
        model = chain(f, stream_usage=True)
        assert (await model.ainvoke("How is the weather?")).content == TEXT
        assert "".join([str(part.content) async for part in model.astream("How is it?")]) == TEXT
        answers = await model.abatch(["One", "Two", "Three"])
        assert [answer.content for answer in answers] == [TEXT] * 3
        called = await model.bind_tools([TOOL]).ainvoke("How is the weather?")
        assert called.tool_calls[0]["args"] == {"city": "Bern"}
        whole: Any = None
        async for part in model.bind_tools([TOOL]).astream("How is the weather?"):
            whole = part if whole is None else whole + part
        assert whole.tool_calls[0]["args"] == {"city": "Bern"} and whole.usage_metadata["total_tokens"] == 13


@MODES
async def test_langchain_survives_an_engine_that_fails(mode: str) -> None:
    async with fleet(mode) as f:
        f.decode[0].status = f.prefill[0].status = 500
        for _ in range(4):
            assert (await chain(f).ainvoke("How is the weather?")).content == TEXT


# -- litellm -----------------------------------------------------------------------------------------------------------


@MODES
async def test_litellm_answers_streams_and_calls_tools(mode: str) -> None:
    async with fleet(mode) as f:
        common: dict[str, Any] = {"model": "openai/qwen", "messages": ASKED, "max_retries": 0}
        common.update(api_base=f"{f.url}/v1", api_key="mine")
        said: Any = await litellm.acompletion(**common)
        assert said.choices[0].message.content == TEXT and said.usage.total_tokens == 13
        stream: Any = await litellm.acompletion(**common, stream=True)
        assert "".join([part.choices[0].delta.content or "" async for part in stream]) == TEXT
        called: Any = await litellm.acompletion(**common, tools=[TOOL])
        assert arguments(called.choices[0].message.tool_calls[0].function.arguments) == arguments(ARGUMENTS)
        for engine in f.decode:
            engine.status = 429
        with pytest.raises(litellm.RateLimitError):
            await litellm.acompletion(**common)
        await asyncio.sleep(0)
