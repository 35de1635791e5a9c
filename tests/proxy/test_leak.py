"""Thousands of requests that their clients gave up: everything is back where it was."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import random
import time
from pathlib import Path

import pytest

from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.http.endpoint import IDLE_CONNECTIONS
from stormc_proxy.telemetry.journal import Record
from tests.proxy.client import question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

REQUESTS = 2_400
"""In each mode; more take minutes on a busy machine."""
AT_A_TIME = 20
GROWTH = 8 * 1024 * 1024
"""Bytes that may be kept, after a warm-up; the reference kept the body of every request, 19 MB here."""


def memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def leave(s: Service, count: int, chance: random.Random) -> None:
    """Requests whose clients go after a moment: before, during and after prefill and decode. One of 50 stays."""
    bodies = [question(chat, stream, text="x" * 8000, tokens=3) for chat in (False, True) for stream in (False, True)]

    usual = 0.03

    async def some() -> None:
        nonlocal usual
        for number in range(count // AT_A_TIME):
            client, began = await s.begin(chance.choice(bodies)), time.monotonic()
            if number % 50 == 0:
                assert (await client.reply()).complete
                usual = 0.8 * usual + 0.2 * (time.monotonic() - began)
            else:
                await asyncio.sleep(chance.random() ** 1.5 * usual)
            client.reset()

    await asyncio.gather(*(some() for _ in range(AT_A_TIME)))


@pytest.mark.parametrize("mode", ["layerwise", "standard"])
async def test_nothing_is_left_of_requests_given_up(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefills get the time to end that a busy machine needs: one that is cut while it answers holds its KV cache."""
    chance = random.Random(7)
    monkeypatch.setattr("stormc_proxy.flow.standard.ABANDON_SECONDS", 5.0)
    async with service(mode, max_requests=0, access_log=False) as s:
        for engine in (*s.prefill, *s.decode):
            engine.manner = Manner(seconds=0.005)

        reached = {"prefill": 0, "decode": 0}

        def forget() -> None:
            for role in reached:
                reached[role] += sum(len(engine.seen) for engine in s.engines(role))
            for engine in (*s.prefill, *s.decode):
                engine.seen.clear()
                engine.farewells.clear()
                engine.statuses.clear()
            for known in (s.fabric.arrived, s.fabric.posted, s.fabric.offered):
                known.clear()
            s.log.truncate(0)
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)

        await leave(s, REQUESTS // 4, chance)
        await s.settled(5.0)
        forget()
        sockets, before, tasks = _descriptors(), memory(), len(asyncio.all_tasks())
        for _ in range(4):
            await leave(s, REQUESTS // 4, chance)
            await s.settled(5.0)
            forget()
        assert memory() - before < GROWTH
        assert _descriptors() <= sockets + 300, "connections that wait for the next request"
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert s.failures("prefill") == s.failures("decode") == [0, 0]
        assert len(s.fabric.held) <= REQUESTS / 100, "some prefills end at the very moment they are given up"
        assert len(s.server.metrics.requests) < 30, "labels are few"
        endpoint = s.server.router.upstream._endpoints
        assert len(endpoint) == 4 and all(len(each._idle) <= IDLE_CONNECTIONS for each in endpoint.values())
        assert all(count > REQUESTS / 10 for count in reached.values()), "they left at every stage"
        assert sum(s.server.metrics.requests.values()) >= REQUESTS
        assert (await s.ask(question(False, True))).done
        await s.settled()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("mode", ["layerwise", "standard"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_leaves_nothing_to_the_garbage_collector(mode: str, stream: bool) -> None:
    """What holds itself keeps its prompt until the collector runs, which is seldom here."""
    async with service(mode) as s:
        await s.ask(question(False, stream))
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                assert (await s.ask(question(False, stream))).status == 200
            await s.settled()
            left = [type(each) for each in gc.get_objects() if isinstance(each, (Attempt, Body, Record))]
        finally:
            gc.enable()
        assert not left
