"""What happens in the moment between two things: chosen and connected, answered and noticed, found and told."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from stormc_proxy.fleet.instance import FAULTY, Instance
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.prefill import prefill
from stormc_proxy.flow.refusal import unavailable
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.deadline import LATE_SECONDS, MOST_TURNS, Deadline, Sweep
from stormc_proxy.http.endpoint import Endpoint
from stormc_proxy.settings import Address
from tests.proxy.answers import answer_to
from tests.proxy.client import Reply, question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

BOTH = pytest.mark.parametrize("mode", ["layerwise", "standard"])


def lose(s: Service, instance: Instance, probes: int) -> None:
    """Its health probe fails so often."""
    for _ in range(probes):
        s.server.router.pools[instance.role].probed(instance, False)


@BOTH
@pytest.mark.parametrize("role", ["prefill", "decode"])
async def test_a_request_that_connects_while_its_instance_is_isolated_ends(
    mode: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(mode, prefill=1, decode=1, fallback=False) as s:
        engine = s.engines(role)[0]
        engine.manner = Manner(fault="black_hole")
        instance, new_connection = s.instance(engine), Endpoint.new_connection

        async def isolated_meanwhile(self: Endpoint) -> Any:
            made = await new_connection(self)
            if self.address == instance.address and instance.state != FAULTY:
                lose(s, instance, 4)
            return made

        monkeypatch.setattr(Endpoint, "new_connection", isolated_meanwhile)
        client = await s.begin(question(False, True))
        await until(lambda: instance.state == FAULTY and bool(instance.exchanges))
        lose(s, instance, 2)
        reply = await asyncio.wait_for(client.reply(), 10)
        assert (reply.status, reply.complete) == (502, True), reply
        engine.manner = Manner()
        await s.settled()


async def test_a_prefill_that_ends_after_the_answer_touches_no_other_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode needs the KV cache, not prefill's answer; its connection may serve the next request by then."""
    answered, touched = asyncio.Event(), list[str]()
    excuse = Connection.excuse

    async def late(*arguments: Any) -> Any:
        done = await prefill(*arguments)
        await answered.wait()
        return done

    def told(self: Connection, silent: bool) -> None:
        touched.append(self.state)
        excuse(self, silent)

    monkeypatch.setattr("stormc_proxy.flow.layerwise.prefill", late)
    monkeypatch.setattr(Connection, "excuse", told)
    async with service("layerwise", prefill=1, decode=1) as s:
        assert (await s.ask(question(False, False))).status == 200
        answered.set()
        await s.settled()
        assert touched == ["sent"], "excused while it waits for prefill, and never again"


async def test_decode_that_answers_in_the_moment_in_which_prefill_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    spoke = Attempt.speaks

    def too_late(self: Attempt) -> None:
        if self.state == "prefilling":
            self.refusal = unavailable("prefill")
            self.step("prefill fails")
        spoke(self)

    monkeypatch.setattr(Attempt, "speaks", too_late)
    async with service("layerwise", prefill=1, decode=1) as s:
        s.prefill[0].manner = Manner(seconds=0.05, fault="pushed_reset")
        for stream in (False, True):
            reply = await s.ask(question(False, stream))
            assert (reply.status, reply.text()) == (200, answer_to("Say it", 8))
        await s.settled()
        assert not s.server.metrics.internal_errors


@BOTH
async def test_a_bug_is_an_answer_too(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stormc_proxy.flow.prefill.report_of", broken)
    async with service(mode) as s:
        reply = await asyncio.wait_for(s.ask(question(False, True)), 10)
        assert (reply.status, reply.json["error"]["code"]) == (500, 500)
        await s.settled()
        assert s.server.metrics.internal_errors


@BOTH
@pytest.mark.parametrize("role", ["prefill", "decode"])
async def test_an_engine_that_stops_reading_in_the_middle_of_a_request_is_timed_out(mode: str, role: str) -> None:
    """The time to begin an answer runs from the first byte of the request, not from its last."""
    async with service(mode, prefill=1, decode=1, response_timeout_seconds=0.3, fallback=False) as s:
        deaf = socket.create_server(("127.0.0.1", 0), backlog=8)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.server.router.pools[role].replace((Address(*deaf.getsockname()[:2]),))
        reply = await asyncio.wait_for(s.ask(question(False, True, text="x" * 12_000_000)), 20)
        assert (reply.status, reply.complete) == (504, True)
        await s.settled()
        deaf.close()


@BOTH
@pytest.mark.parametrize("fault", ["reset_before", "refuse", "hang_after_head", "500", "error_first", "nothing"])
async def test_a_stream_that_cannot_go_on_elsewhere_leaves_nothing_behind(mode: str, fault: str) -> None:
    """The instance that should go on with it fails before its first event: prefill holds a KV cache for that one."""
    async with service(mode, response_timeout_seconds=0.5, stream_idle_timeout_seconds=0.5) as s:
        s.decode[0].manner = Manner(fault="cut_reset", times=1)
        await s.decode[1].behave(Manner(fault=fault, times=1))
        reply = await s.ask(question(True, True))
        assert reply.status == 200 and reply.complete
        assert reply.done or reply.error is not None
        for engine in s.decode:
            await engine.behave(Manner())
        await s.settled()
        await until(lambda: not s.fabric.held, 2.0, lambda: f"KV is held: {s.fabric.held}")


@BOTH
@pytest.mark.parametrize("bad", [1, 2])
async def test_comments_and_then_the_end_are_no_answer(mode: str, bad: int) -> None:
    async with service(mode) as s:
        for engine in s.decode:
            engine.manner = Manner(comments=0.01, seconds=0.05)
        for engine in s.decode[:bad]:
            engine.manner.fault = "nothing"
        reply = await s.ask(question(False, True))
        assert (reply.status, reply.complete) == (200, True)
        reply.body = reply.body.replace(b": keep-alive\n\n", b"")
        if bad == 1:
            assert reply.done and reply.text() == answer_to("Say it", 8)
        else:
            assert reply.error is not None and not reply.done
        assert s.failures("decode") == [1, bad - 1]
        await s.settled()


async def _written(s: Service) -> int:
    """Bytes that wait for clients, when they are no more than a moment ago."""
    before = -1
    while True:
        waiting = sum(c.transport.get_write_buffer_size()
                      for listener in s.server._listeners
                      for c in listener.connections if c.transport is not None)  # fmt: skip
        if waiting == before:
            return waiting
        before = waiting
        await asyncio.sleep(0.3)


@BOTH
async def test_answers_for_a_client_that_reads_slowly_wait_at_their_engines(mode: str) -> None:
    """Several hundred small answers are as much as one large one."""
    count = 400
    async with service(mode, manner=Manner(pad=4000)) as s:
        client = await s.begin(question(False, True, tokens=6, n=count), buffer=16_384)
        reply = Reply()
        await client.head(reply)
        asked = 0
        while asked < sum(len(engine.seen) for engine in s.decode):
            asked = sum(len(engine.seen) for engine in s.decode)
            await asyncio.sleep(0.5)
        assert asked < count, "the next ones wait for their turn"
        assert await _written(s) < 3_000_000
        while data := await client.reader.read(65536):
            reply.body += data
            if data.endswith(b"[DONE]\n\n\r\n0\r\n\r\n"):
                break
        assert reply.body.count(b'"finish_reason": "length"') + reply.body.count(b'"finish_reason":"length"') == count
        client.close()
        await s.settled()


# -- a proxy that is late itself ---------------------------------------------------------------------------------------


class LateLoop:
    """A loop whose timers all fire a second late."""

    def __init__(self) -> None:
        self.now, self.timers = 0.0, list[tuple[float, Any]]()

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Any) -> object:
        self.timers.append((self.now + seconds, call))
        return object()

    def turn(self) -> None:
        due, call = self.timers.pop(0)
        self.now = due + 4 * LATE_SECONDS
        call()


def test_a_proxy_that_is_always_late_judges_in_the_end() -> None:
    loop, fired = LateLoop(), list[float]()
    Deadline(loop, 5.0, lambda: fired.append(loop.now))  # type: ignore[arg-type]
    for _ in range(MOST_TURNS):
        loop.turn()
        assert not fired
    loop.turn()
    assert fired and not loop.timers


def test_what_is_looked_at_together_is_looked_at_in_the_end() -> None:
    loop, looked = LateLoop(), list[float]()

    class Waits:
        def look(self, now: float) -> None:
            looked.append(now)

    sweep = Sweep(loop)  # type: ignore[arg-type]
    sweep.add(Waits())
    for _ in range(2 * (MOST_TURNS + 1)):
        loop.turn()
    assert len(looked) == 2
