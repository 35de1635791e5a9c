"""Who is there: isolation, retries, connections that die, and limits of time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import Mapping
from typing import Any

import pytest

from stormc_proxy.http.endpoint import Endpoint
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.settings import Address
from tests.proxy.answers import answer_to, refusal
from tests.proxy.client import COMPLETIONS, ask, question
from tests.proxy.manner import Manner
from tests.proxy.service import service, until

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)


# -- who is there ------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize("more", [{}, {"n": 2}])
async def test_both_roles_are_checked_before_anything_is_sent(mode: str, role: str, more: Mapping[str, Any]) -> None:
    async with service(mode, fallback=False) as s:
        for engine in s.engines(role):
            for _ in range(4):
                s.server.router.pools[role].failed(s.instance(engine))
        reply = await s.ask(question(False, True, **more))
        assert reply.status == 503 and reply.headers["retry-after"] == "5"
        assert role in reply.json["error"]["message"]
        assert not any(engine.seen for engine in (*s.prefill, *s.decode))
        assert (await ask(s.port, "GET", "/readyz")).status == 503
        assert (await ask(s.port, "GET", "/livez")).status == 200
        await s.settled()


@BOTH
async def test_isolation_is_after_the_fourth_failure_and_ends_with_a_probe(mode: str) -> None:
    async with service(mode, probe_interval_seconds=0.2, retry_budget_percent=1000) as s:
        bad = s.instance(s.decode[0])
        s.decode[0].manner = Manner(fault="500", health=503)
        s.server.router.decode.policy = s.server.router.decode.policy
        counted = 0
        while bad.state == "healthy":
            assert (await s.ask(question(False, False))).status == 200
            counted += 1
            assert counted < 20
        assert bad.failures >= 4
        seen = len(s.decode[0].seen)
        for _ in range(5):
            assert (await s.ask(question(False, False))).status == 200
        assert len(s.decode[0].seen) == seen, "it gets nothing"
        s.decode[0].manner = Manner()
        await until(lambda: bad.state == "healthy", 1.0)
        assert bad.failures == 0 and bad.score == 0
        events = [r["event"] for r in s.records() if r["event"] in ("isolated", "readmitted")]
        assert events == ["isolated", "readmitted"]


async def test_exactly_the_fourth_failed_request_isolates() -> None:
    async with service("layerwise", decode=1, manner=Manner()) as s:
        s.decode[0].manner = Manner(fault="500")
        for number in range(1, 5):
            assert s.instance(s.decode[0]).state == "healthy"
            assert (await s.ask(question(False, False))).status == 500
            assert s.instance(s.decode[0]).failures == number
        assert s.instance(s.decode[0]).state == "faulty"
        assert (await s.ask(question(False, False))).status == 503


@BOTH
async def test_bad_clients_isolate_nobody(mode: str) -> None:
    async with service(mode) as s:
        for role in ("prefill", "decode"):
            for engine in s.engines(role):
                engine.manner = Manner(fault="400")
            replies = await asyncio.gather(*(s.ask(question(False, k % 2 == 0)) for k in range(20)))
            assert all(r.status == 400 and r.json == refusal(400) for r in replies)
            for engine in s.engines(role):
                engine.manner = Manner()
        assert s.failures("prefill") == s.failures("decode") == [0, 0]
        assert (await s.ask(question(False, False))).status == 200
        await s.settled()


async def test_retries_stay_within_their_budget() -> None:
    async with service("layerwise", prefill=1, decode=8, max_failures=1000, retry_budget_percent=0) as s:
        for engine in s.decode:
            engine.manner = Manner(fault="500")
        for _ in range(100):
            assert (await s.ask(question(False, False))).status == 500
        assert sum(len(engine.seen) for engine in s.decode) == 100 + 64
        assert s.server.router.counts.retries == 64


@pytest.mark.parametrize(("attempts", "tried"), [(0, 1), (1, 1), (2, 2), (9, 4)])
async def test_attempts_are_limited_and_never_at_the_same_instance(attempts: int, tried: int) -> None:
    for mode, role in itertools.product(MODES, ("prefill", "decode")):
        async with service(mode, prefill=4, decode=4, max_retries=attempts) as s:
            for engine in s.engines(role):
                engine.manner = Manner(fault="500")
            assert (await s.ask(question(False, False))).status == 500
            assert sorted(len(engine.seen) for engine in s.engines(role)) == [0] * (4 - tried) + [1] * tried


# -- connections -------------------------------------------------------------------------------------------------------


@BOTH
async def test_connections_to_engines_are_reused(mode: str) -> None:
    async with service(mode, prefill=1, decode=1) as s:
        for _ in range(20):
            assert (await s.ask(question(False, True))).done
        for engine in (*s.prefill, *s.decode):  # one for the probe; an answer may overtake that of prefill
            assert engine.opened <= 5


@BOTH
async def test_a_connection_that_the_engine_closed_is_not_a_failure(mode: str) -> None:
    """The keep-alive race: the engine closes what it thinks idle while a request is on its way."""
    async with service(mode, prefill=1, decode=1) as s:
        for engine in (*s.prefill, *s.decode):
            engine.manner = Manner(closes_idle=0.01)
        for number in range(40):
            assert (await s.ask(question(False, number % 2 == 0))).status == 200
            await asyncio.sleep(0.01 + number % 5 * 0.0005)
        for engine in (*s.prefill, *s.decode):
            engine.manner = Manner()
            assert (await s.ask(question(False, True))).done
            for wire in list(engine.wires):
                wire.drop_next = True
        assert (await s.ask(question(False, True))).done, "a reused connection that dies is tried again"
        assert s.failures("prefill") == s.failures("decode") == [0]
        assert s.server.router.counts.retries == 0
        await s.settled()


@pytest.mark.parametrize("stream", [False, True])
async def test_decode_that_dies_after_its_callback_is_no_keep_alive_race(stream: bool) -> None:
    """Asked again under the same id, it would wait for ever for a prefill that was done once already."""
    async with service("layerwise", prefill=1, decode=2) as s:
        for _ in range(4):
            assert (await s.ask(question(False, stream))).status == 200
        for engine in s.decode:
            engine.manner = Manner(fault="pushed_reset", times=1, early_head=False)
        first = await s.ask(question(False, stream))
        assert first.status == 502 and s.failures("decode") == [1, 1]
        again = await s.ask(question(False, stream))
        assert again.text() == answer_to("Say it", 8)
        await s.settled()


async def test_a_name_with_several_addresses_that_all_fail_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo

    async def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return [*await original("::1", *rest, **more), *await original("127.0.0.1", *rest, **more)]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    with pytest.raises(UpstreamError, match="connection refused"):
        await Endpoint(Address("localhost", 1), loop, Resolver(loop), 3.0).new_connection()


async def test_a_name_is_resolved_for_every_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescheduled pod keeps its name and has another address."""
    loop = asyncio.get_running_loop()
    original, where = loop.getaddrinfo, {"engine.example": "127.0.0.1"}

    async def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return await original(where.get(host, host), *rest, **more)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with service("standard", prefill=1, decode=1) as s:
        port = s.decode[0].port
        moved = (Address("engine.example", port),)
        s.server.router.decode.replace(moved)
        s.server.router.forget()
        assert (await s.ask(question(False, True))).done
        assert s.decode[0].seen
        await s.decode[0].stop()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.2", port))
            other.listen()
            s.decode[0]._socket.close()
            s.decode[0]._socket = other
            await s.decode[0].start()
            where["engine.example"] = "127.0.0.2"
            assert (await s.ask(question(False, True))).done
            assert len(s.decode[0].seen) == 2


async def test_ipv6() -> None:
    for mode in MODES:
        async with service(mode, family=socket.AF_INET6) as s:
            reply = await ask(s.port, "POST", COMPLETIONS, question(False, True), host="::1")
            assert reply.done
            assert s.decode[0].seen[0].headers["host"] == f"[::1]:{s.decode[0].port}"
            if mode == "layerwise":
                url = s.decode[0].seen[0].body["kv_transfer_params"]["metaserver"]
                assert url.startswith(f"http://[::1]:{s.server.callback_port}/v1/metaserver/")
            await s.settled()


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_black_hole_costs_no_more_than_its_timeout() -> None:
    """Connections to an address that swallows packets, as after a loss of power."""
    async with service("standard", connect_timeout_seconds=0.2, probe_timeout_seconds=0.1) as s:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            stuffing = []
            for _ in range(4):  # a full backlog drops further handshakes
                filler = socket.socket()
                filler.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", port))
                stuffing.append(filler)
            await asyncio.sleep(0.05)
            real = Address("127.0.0.1", s.decode[0].port)
            s.server.router.decode.remove(real)
            s.server.router.decode.replace([Address("127.0.0.1", port)])
            s.server.router.decode.add(real)
            began = time.monotonic()
            for _ in range(2):
                assert (await s.ask(question(False, True))).done
            assert time.monotonic() - began < 1.0
            swallowed = s.server.router.decode.instances[Address("127.0.0.1", port)]
            assert swallowed.failed_requests == 2
            for filler in stuffing:
                filler.close()
        await s.settled()


async def test_a_long_queue_is_no_fault() -> None:
    async with service("layerwise", probe_interval_seconds=0.1, probe_timeout_seconds=0.1) as s:
        s.decode[0].manner = Manner(seconds=0.5)
        assert (await s.ask(question(False, True))).done
        assert s.failures("decode") == [0, 0]
