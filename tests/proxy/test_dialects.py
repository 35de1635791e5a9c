"""The Anthropic and the Responses API through prefill and decode, on real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.clients.dialects import events, failure, whole
from tests.clients.fleet import Fleet, fleet
from tests.proxy.service import until

MODES = pytest.mark.parametrize("mode", ["layerwise", "standard"])
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
PATHS = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
ANTHROPIC_TOOL = {"name": "weather", "input_schema": CITY}


def asked(path: str, **more: object) -> dict[str, Any]:
    if path == RESPONSES:
        return {"model": "m", "input": "How is the weather in Bern?", **more}
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Weather in Bern?"}], **more}


async def told(f: Fleet, path: str, **more: object) -> tuple[int, bytes]:
    """Status and body of the answer."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f.url + path, json=asked(path, **more)) as answer,
    ):
        return answer.status, await answer.read()


def requests(f: Fleet, role: str) -> list[dict[str, Any]]:
    return [body for engine in getattr(f, role) for body in engine.seen]


@MODES
@PATHS
async def test_answers_are_those_of_the_engine(mode: str, path: str) -> None:
    async with fleet(mode) as f:
        for more in ({}, {"tools": [ANTHROPIC_TOOL]}):
            body = asked(path, **more)
            status, said = await told(f, path, **more)
            assert (status, json.loads(said)) == (200, whole(path, body))
            status, said = await told(f, path, stream=True, **more)
            assert (status, said) == (200, b"".join(events(path, {**body, "stream": True})))
        limit = "max_output_tokens" if path == RESPONSES else "max_tokens"
        assert [body[limit] for body in requests(f, "prefill")] == [1] * 4
        assert not any(body["stream"] for body in requests(f, "prefill"))
        assert all(body["kv_transfer_params"] for body in requests(f, "decode"))


@MODES
async def test_prefill_and_decode_know_a_response_by_one_id(mode: str) -> None:
    async with fleet(mode) as f:
        await told(f, RESPONSES)
        (prefill,), (decode,) = requests(f, "prefill"), requests(f, "decode")
        assert prefill["request_id"] == decode["request_id"]
        assert prefill["request_id"].startswith("resp_")


@MODES
async def test_an_announced_response_still_gets_its_prefill_and_another_decode(mode: str) -> None:
    """vLLM announces a response before its engine has been asked; nothing has been said by then."""
    async with fleet(mode) as f:
        for engine in (*f.prefill[:1], *f.decode[:1]):
            engine.status = 500
        for _ in range(3):
            status, said = await told(f, RESPONSES, stream=True)
            assert (status, said) == (200, b"".join(events(RESPONSES, asked(RESPONSES, stream=True))))
        f.decode[0].status, f.decode[0].cut = 200, 2
        for _ in range(2):
            status, said = await told(f, RESPONSES, stream=True)
            assert (status, said.count(b"event: response.created")) == (200, 1)
            assert b"response.completed" in said


@MODES
@PATHS
async def test_a_stream_that_breaks_ends_with_the_error_of_its_api(mode: str, path: str) -> None:
    async with fleet(mode) as f:
        for engine in f.decode:
            engine.cut = 3
        status, said = await told(f, path, stream=True)
        *sent, last = said.split(b"\n\n")[:-1]
        assert status == 200
        assert b"\n\n".join(sent) + b"\n\n" == b"".join(events(path, asked(path, stream=True))[:3])
        name, _, data = last.partition(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert (name, value["type"]) == (b"event: error", "error")
        assert (value if path == RESPONSES else value["error"])["message"]


@MODES
@PATHS
async def test_errors_have_the_shape_of_their_api(mode: str, path: str) -> None:
    async with fleet(mode) as f:
        status, said = await told(f, path, model=["no", "text"], messages=1, input=None)
        assert status == 400
        shapes = [json.loads(said)]
        for engine in f.decode:
            engine.status = 429
        status, said = await told(f, path)
        assert (status, json.loads(said)["error"]["message"]) == (429, "the engine refuses")
        for engine in f.decode:
            await engine.stop()
        status, said = await told(f, path)
        assert status == 502
        for value in (*shapes, json.loads(said)):
            assert value["error"]["message"] and value["error"]["type"]
            assert value.get("type") == (None if path == RESPONSES else "error")


@MODES
@PATHS
async def test_an_error_in_place_of_the_first_event_is_asked_elsewhere(mode: str, path: str) -> None:
    async with fleet(mode) as f:
        f.decode[0].fails = 0 if path == MESSAGES else 2
        for _ in range(2):
            status, said = await told(f, path, stream=True)
            assert (status, said) == (200, b"".join(events(path, asked(path, stream=True))))
        f.decode[1].fails = f.decode[0].fails
        status, said = await told(f, path, stream=True)
        assert status == (529 if path == MESSAGES else 500)
        assert b"no room" in said


@MODES
@PATHS
async def test_a_later_error_goes_on_and_counts(mode: str, path: str) -> None:
    async with fleet(mode) as f:
        for engine in f.decode:
            engine.fails = 3
        status, said = await told(f, path, stream=True)
        assert status == 200 and said.endswith(failure(path))
        assert sum(i.failed_requests for i in f.server.router.decode) == 1


@MODES
@PATHS
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_engine(mode: str, path: str, stream: bool) -> None:
    async with fleet(mode) as f:
        for engine in f.decode:
            engine.pause = 5.0
        leaving = asyncio.ensure_future(told(f, path, stream=stream))
        await until(lambda: requests(f, "decode"))
        leaving.cancel()
        await until(lambda: sum(engine.left for engine in f.decode) == 1, 2.0)
        await until(lambda: not f.server.metrics.active and not f.server.router.rendezvous, 2.0)
