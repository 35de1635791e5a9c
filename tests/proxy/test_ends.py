"""How things end: connections that nobody needs, requests that meet the end of one, streams that end too early."""

from __future__ import annotations

import asyncio

import pytest

from stormc_proxy.fleet.instance import FAULTY
from stormc_proxy.http.connection import Connection
from stormc_proxy.settings import Address
from tests.proxy.answers import answer_to
from tests.proxy.client import Client, Reply, question, request
from tests.proxy.manner import Manner
from tests.proxy.scene import A, Exchange, Scene
from tests.proxy.service import service, until

BOTH = pytest.mark.parametrize("mode", ["layerwise", "standard"])


# -- connections to engines --------------------------------------------------------------------------------------------


async def test_a_connection_in_use_is_closed_when_its_instance_is_gone_meanwhile() -> None:
    """Kept, it would stay open until the engine closes it, and nobody would ask for it again."""
    async with service("standard", prefill=1, decode=1) as s:
        upstream, engine, taken = s.server.router.upstream, s.decode[0], list[Connection]()
        instance = s.instance(engine)
        connection, _ = await upstream.open(instance, b"GET /v1/models HTTP/1.1\r\n", b"\r\n", b"", 0.0, taken.append)
        await connection.collect(0.0)
        upstream.forget(())
        connection.finish()
        await until(lambda: connection.state == "closed" and not engine.wires)


async def test_an_instance_that_left_is_not_asked_how_long_its_text_was() -> None:
    async with service("layerwise", prefill=1, decode=2) as s:
        leaving = s.decode[0]
        for engine in s.decode:
            engine.manner = Manner(recomputes=1, usage="none", token_seconds=0.02)
        client = await s.begin(question(False, True))
        await until(lambda: any(engine.running for engine in s.decode))
        leaving = next(engine for engine in s.decode if engine.running)
        s.server.router.decode.remove(Address(leaving.host, leaving.port))
        assert (await client.reply()).text() == answer_to("Say it", 8)
        client.close()
        assert not leaving.others, "another one counts"
        await s.settled()


@BOTH
@pytest.mark.parametrize("role", ["prefill", "decode"])
async def test_a_reused_connection_that_ends_late_is_a_failure(
    mode: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may have worked on the request, and died of it; so it is counted, and another one is asked."""
    monkeypatch.setattr("stormc_proxy.http.endpoint.RACE_SECONDS", 0.0)
    async with service(mode) as s:
        for _ in range(4):
            assert (await s.ask(question(False, True))).done
        for engine in s.engines(role):
            for wire in list(engine.wires):
                wire.drop_next = True
        reply = await s.ask(question(False, True))
        assert reply.status == 502 or reply.done, "a farewell may have met the other broken connection"
        assert sum(s.failures(role)) == (2 if reply.status == 502 else 1)
        assert (await s.ask(question(False, True))).done, "the others are fresh connections"
        await s.settled()


def test_panic_does_not_wait_for_ever_for_an_instance_that_answers_no_probe() -> None:
    scene = Scene(A, panic=True)
    instance = scene[A]

    def probe(second: float, mute: bool) -> None:
        scene.now = second
        scene.pool.probed(instance, False, mute=mute)

    for second in (5.0, 10.0, 15.0, 20.0):
        probe(second, mute=True)
    assert instance.state == FAULTY
    tried = Exchange(heard=21.0)
    instance.exchanges.add(tried)
    for second in (25.0, 30.0, 35.0, 40.0):
        probe(second, mute=True)
    assert not tried.ended, "as many failed probes as isolate an instance"
    probe(45.0, mute=False)
    assert not tried.ended, "one that answers a probe, if badly, may be at work"
    probe(50.0, mute=True)
    assert tried.ended


# -- streams that end too early ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_half_a_stream_that_ends_cleanly_goes_on_elsewhere(mode: str, chat: bool, framing: str) -> None:
    """A gateway before the engine may end the stream of one that died as if it were whole."""
    async with service(mode) as s:
        for engine in s.decode:
            engine.manner = Manner(framing=framing)
        assert (await s.ask(question(chat, True))).done, "these engines say when a stream is over"
        fault = Manner(fault="cut_cleanly" if framing == "chunked" else "cut_close", framing=framing, times=1)
        for engine in s.decode:
            engine.manner = fault
        body = question(chat, True)
        reply = await s.ask(body)
        assert reply.done and reply.text() == answer_to(body["messages"] if chat else "Say it", 8)
        assert sum(s.failures("decode")) == 1
        await s.settled()


@BOTH
async def test_half_a_stream_that_cannot_go_on_ends_with_an_error(mode: str) -> None:
    async with service(mode, resume_streams=False) as s:
        assert (await s.ask(question(False, True))).done
        for engine in s.decode:
            engine.manner = Manner(fault="cut_cleanly")
        reply = await s.ask(question(False, True))
        assert reply.error is not None and not reply.done
        await s.settled()


async def test_engines_that_never_say_done_are_taken_as_they_are() -> None:
    async with service("layerwise") as s:
        for engine in s.decode:
            engine.manner = Manner(fault="cut_cleanly")
        for _ in range(3):
            reply = await s.ask(question(False, True))
            assert reply.complete and reply.error is None and not reply.done
        assert s.failures("decode") == [0, 0]


@BOTH
async def test_a_stream_that_only_the_end_of_the_connection_ends_has_to_say_that_it_is_over(mode: str) -> None:
    async with service(mode) as s:
        for engine in s.decode:
            engine.manner = Manner(fault="cut_close", framing="close", times=1)
        reply = await s.ask(question(False, True))
        assert reply.text() == answer_to("Say it", 8) and reply.done, "although nobody has said it before"
        await s.settled()


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_engines_that_take_stream_for_something_else_are_passed_on(mode: str, stream: bool) -> None:
    """An object where events were asked for, or events where an object was."""
    async with service(mode) as s:
        assert (await s.ask(question(True, True))).done
        for engine in s.decode:
            engine.manner = Manner(fault="other_kind")
        reply = await s.ask(question(True, stream))
        assert (reply.status, reply.complete) == (200, True)
        assert reply.body in [seen.sent for engine in s.decode for seen in engine.seen]
        assert reply.headers["content-type"].startswith("application/json" if stream else "text/event-stream")
        assert s.failures("decode") == [0, 0]
        await s.settled()


@BOTH
@pytest.mark.parametrize(
    "body", ["", "null", "[]", "<html>maintenance</html>", '{"choices": [', '{"error": {"code": 500}}']
)
async def test_what_is_no_answer_to_a_request_for_a_stream_is_asked_elsewhere(mode: str, body: str) -> None:
    """With status 200, and not called events: a page of a gateway, an error, or nothing."""
    async with service(mode) as s:
        s.decode[0].manner = s.decode[1].manner = Manner(fault="says", says=body, times=1)
        for framing in ("length", "chunked"):
            for engine in s.decode:
                engine.manner.framing, engine.manner.times = framing, 1
            reply = await s.ask(question(False, True))
            assert reply.done and reply.text() == answer_to("Say it", 8), reply
        assert sum(s.failures("decode")) == 2
        for engine in s.decode:
            engine.manner.times = -1
        reply = await s.ask(question(False, True))
        assert (reply.status, reply.complete) == (500 if "error" in body else 502, True), reply
        await s.settled()


async def test_events_that_are_not_called_so_go_on_as_they_come() -> None:
    async with service("layerwise", decode=1) as s:
        for writes in ("events", "split"):
            s.decode[0].manner = Manner(fault="unnamed", writes=writes, token_seconds=0.05)
            client = await s.begin(question(False, True))
            first = Reply()
            await client.head(first)
            assert s.decode[0].running, "not held to the end"
            assert b"data: " in await client.reader.readuntil(b"[DONE]")
            client.close()
        assert s.failures("decode") == [0]


async def test_an_answer_that_says_why_it_ends_is_whole_without_done() -> None:
    async with service("layerwise", decode=1) as s:
        assert (await s.ask(question(True, True))).done
        s.decode[0].manner = Manner(fault="no_done")
        reply = await s.ask(question(True, True))
        assert reply.body == s.decode[0].seen[-1].sent.removesuffix(b"data: [DONE]\n\n")
        assert s.failures("decode") == [0]


@BOTH
async def test_half_an_answer_that_is_whole_for_http_is_none(mode: str) -> None:
    async with service(mode) as s:
        s.decode[0].manner = s.decode[1].manner = Manner(fault="half_body", times=1)
        reply = await s.ask(question(False, False))
        assert (reply.status, reply.text()) == (200, answer_to("Say it", 8))
        assert sum(s.failures("decode")) == 1
        await s.settled()


# -- connections of clients --------------------------------------------------------------------------------------------


async def test_a_client_that_still_reads_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"data": "x" * 16_000_000}
    monkeypatch.setattr("tests.proxy.wire.MODELS", large)
    async with service("standard", prefill=1, decode=1) as s:
        client = await Client.connect(s.port, buffer=16_384)
        client.send(request("GET", "/v1/models"))
        await until(lambda: bool(s.server.metrics.requests), 3.0)
        connection = next(iter(s.server._listeners[0].connections))
        await until(lambda: connection.deadline > 0)
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size()
        connection.timed_out()
        reply = await client.reply()
        assert reply.complete and reply.json == large
        await until(lambda: connection.transport is None or not connection.transport.get_write_buffer_size())
        connection.timed_out()
        assert await asyncio.wait_for(client.reader.read(), 10) == b""
        client.close()


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/v1/models"])
async def test_a_client_of_http_1_0_is_told_the_end_by_the_connection(path: str) -> None:
    async with service("standard", prefill=1, decode=1) as s:
        client = await Client.connect(s.port)
        client.send(request("GET", path, headers={"Connection": "keep-alive"}, version="1.0"))
        raw = await asyncio.wait_for(client.reader.read(), 10)
        assert raw.startswith(b"HTTP/1.0 ") and b"\r\n\r\n" in raw
        client.close()
