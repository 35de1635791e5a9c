"""Short episodes of random faults at random times over real sockets, each told by its seed.

    python -m tests.proxy.stress layerwise 1 500

runs the seeds 1 to 500 and prints those that fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import random
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from stormc_proxy.fleet.instance import HEALTHY
from stormc_proxy.flow import kv_cache
from tests.proxy.answers import answer_to
from tests.proxy.client import Client, Reply, ask, path_of, question, request
from tests.proxy.engine import Engine
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

SECONDS = 60.0
"""Within which every request ends, on a machine that does much else; all limits of the proxy are below a second."""
TOKENS = 8
FAULTS = (
    "refuse", "reset_before", "close_before", "reset_after", "cut_reset", "cut_close", "black_hole", "trickle",
    "slow_head", "hang", "hang_after_head", "garbage", "pushed_reset", "error_first", "error_later", "error_body",
    "coding", "line_feeds", "banner", "nothing", "nonsense", "half_body", "400", "401", "429", "500", "503",
)  # fmt: skip
PATIENT: dict[str, Any] = {
    "response_timeout_seconds": 60.0, "stream_idle_timeout_seconds": 60.0, "first_event_timeout_seconds": 60.0,
    "connect_timeout_seconds": 30.0, "probe_timeout_seconds": 30.0,
}  # fmt: skip
"""Limits for healthy engines on a machine that does much else."""
GAUGES = ("stormc_proxy_active_requests", "stormc_proxy_awaited_callbacks", "stormc_proxy_instance_active_requests",
          "stormc_proxy_instance_score")  # fmt: skip


def settings_of(chance: random.Random) -> dict[str, Any]:
    """Limits that are short, so that an episode is."""
    return {
        "probe_interval_seconds": chance.choice((0.05, 0.1, 0.3)), "probe_timeout_seconds": 0.3,
        "response_timeout_seconds": chance.choice((0.3, 0.8)), "first_event_timeout_seconds": 0.5,
        "stream_idle_timeout_seconds": chance.choice((0.3, 0.8)), "connect_timeout_seconds": 0.5,
        "max_retries": chance.choice((1, 2, 3, 3)), "resume_streams": chance.random() < 0.8,
        "fallback": chance.random() < 0.7, "max_failures": chance.choice((0, 1, 3)),
        "max_backoff_seconds": chance.choice((0.0, 0.0, 0.4)), "panic": chance.random() < 0.2,
        "metaserver_ack": chance.choice(("early", "late")), "heartbeat_seconds": chance.choice((0.0, 0.0, 0.05)),
        "slow_start_seconds": chance.choice((0.0, 0.3)), "max_isolated_percent": chance.choice((100, 100, 50)),
    }  # fmt: skip


def manner_of(chance: random.Random) -> Manner:
    """How an engine behaves for a while."""
    manner = Manner(
        fault=chance.choice(FAULTS) if chance.random() < 0.6 else "", times=chance.choice((-1, 1, 2)),
        seconds=chance.choice((0.0, 0.0, 0.02, 0.1)), token_seconds=chance.choice((0.0, 0.0, 0.01, 0.03)),
        writes=chance.choice(("events", "coalesced", "split")), framing=chance.choice(("chunked",) * 4 + ("close",)),
        early_head=chance.random() < 0.5, health=chance.choice((200, 200, 200, 503)),
        closes_idle=chance.choice((0.0, 0.0, 0.05)), pad=chance.choice((0, 0, 3000)),
        comments=chance.choice((0.0, 0.0, 0.02)), late_callback=chance.random() < 0.2,
        callbacks=chance.choice((("plain",), ("plain",), ("plain", "plain"), ("suffix",))),
        recomputes=chance.choice((0, 0, 0, 1)), gzipped=chance.random() < 0.05, interim=chance.random() < 0.1,
    )  # fmt: skip
    if manner.gzipped or manner.framing == "close":
        manner.writes, manner.comments = "events", 0.0
        manner.fault = "" if manner.fault in ("nothing", "nonsense", "error_first", "error_body") else manner.fault
    return manner


async def disturb(s: Service, chance: random.Random, steps: int) -> None:
    """Engines fail and recover, instances come and go."""
    for _ in range(steps):
        await asyncio.sleep(chance.random() * 0.15)
        engine = chance.choice((*s.prefill, *s.decode))
        pool = s.server.router.pools[engine.role]
        what = chance.random()
        if what < 0.75:
            await engine.behave(manner_of(chance))
        elif what < 0.85:
            for instance in list(pool):
                if instance.address.port == engine.port:
                    pool.failed(instance, "switched on")
        else:
            everybody = [type(i.address)(e.host, e.port) for e in s.engines(engine.role) for i in list(pool)[:1]]
            pool.replace([address for address in everybody if address.port != engine.port] or everybody)
            await asyncio.sleep(chance.random() * 0.1)
            pool.replace(everybody)


def body_of(chance: random.Random, number: int) -> dict[str, Any]:
    """One of many kinds of requests."""
    chat, stream = chance.random() < 0.5, chance.random() < 0.6
    more: dict[str, Any] = {"user": str(number)}
    if chance.random() < 0.15:
        more["n"] = chance.choice((2, 5))
    elif not chat and chance.random() < 0.1:
        more["prompt"] = [f"One {number}", f"Two {number}", "Three"]
    if stream and chance.random() < 0.5:
        more["stream_options"] = {"include_usage": True}
    size = chance.choice((0, 0, 0, 5000, 400_000))
    return question(chat, stream, text=f"Say {number} {'y' * size}", tokens=TOKENS, **more)


async def client_of(s: Service, chance: random.Random, number: int) -> str:
    """One request; what was wrong with its answer, or nothing."""
    await asyncio.sleep(chance.random() * 0.8)
    body = body_of(chance, number)
    client = await Client.connect(s.port, buffer=chance.choice((0, 0, 2048)))
    raw = request("POST", path_of("messages" in body), body)
    if chance.random() < 0.1:  # comes in parts
        client.send(raw[: len(raw) // 2])
        await asyncio.sleep(chance.random() * 0.1)
        raw = raw[len(raw) // 2 :]
    client.send(raw)
    leaves = chance.random() < 0.3
    try:
        if leaves:
            await asyncio.sleep(chance.random() ** 2 * 0.6)
            client.reset()
            return ""
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random())  # reads late
        reading = asyncio.ensure_future(client.reply())
        done, _ = await asyncio.wait({reading}, timeout=SECONDS)
        return wrong(body, reading.result()) if done else f"no end of {str(body)[:200]}"
    finally:
        client.close()


def wrong(body: Mapping[str, Any], reply: Reply) -> str:
    """What a client could complain of."""
    reply.body = reply.body.replace(b": keep-alive\n\n", b"")
    shown = f"{reply.status} {str(body)[:150]} → {reply.body[-300:]!r}"
    if not reply.complete:
        return f"cut: {shown}"
    prompt = body.get("messages") or body["prompt"]
    prompts = prompt if isinstance(prompt, list) and isinstance(prompt[0], str) else [prompt]
    whole = [answer_to(each, TOKENS) for each in prompts for _ in range(body.get("n", 1))]
    if reply.status != 200:
        return "" if "error" in reply.json else f"no error: {shown}"
    if not body.get("stream"):
        said = reply.json
        if "error" in said:
            return f"an error with status 200: {shown}"
        return "" if [reply.text(i) for i in range(len(whole))] == whole else f"other text: {shown}"
    if not reply.body or b"engine says nothing" in reply.body:
        return ""  # what all of them said
    if not reply.body.startswith(b"data: "):
        return f"no events: {shown}"
    texts = [reply.text(i) for i in range(len(whole))]
    if reply.done:
        has_error = any("error" in value for value in reply.events)
        return "" if texts == whole or has_error else f"other text, and done: {shown}"
    if reply.error is None:
        return f"neither [DONE] nor an error: {shown}"
    return "" if all(w.startswith(t) for t, w in zip(texts, whole, strict=True)) else f"other text: {shown}"


async def rest_of(s: Service) -> None:
    """Nothing may be left, and everybody has to be served again."""
    everyone = (*s.prefill, *s.decode)
    for engine in everyone:
        await engine.behave(Manner())
    s.server.router.apply(replace(s.server.router.settings, **PATIENT))
    await until(lambda: not (s.leaks() or s.server.router.late), 5, lambda: "; ".join(s.leaks()) or "late farewells")
    await until(lambda: all(i.state == HEALTHY for pool in s.server.router.pools.values() for i in pool), 3)
    upstream, names = s.server.router.upstream, s.server.router.resolver
    now = asyncio.get_running_loop().time()
    waiting = [c for c in upstream._sweep._waiting if c.seconds_left(now) < math.inf]  # type: ignore[attr-defined]
    assert not waiting and not names._questions, "something is still watched"
    assert not s.server.metrics.internal_errors, s.log.getvalue()[-2000:]
    end = asyncio.get_running_loop().time() + SECONDS
    while found := await gauges_of(s):  # a probe that began within the short limits may still fail
        assert asyncio.get_running_loop().time() < end, found
        await asyncio.sleep(0.1)
    for number in range(2 * len(everyone)):
        body = question(False, bool(number % 2), text=f"Last {number}")
        reply = await asyncio.wait_for(s.ask(body), SECONDS)
        reply.body = reply.body.replace(b": keep-alive\n\n", b"")
        assert reply.status == 200 and reply.text() == answer_to(f"Last {number}", 8), reply


async def gauges_of(s: Service) -> list[str]:
    """Lines of /metrics that tell of something that is left."""
    lines = (await ask(s.port, "GET", "/metrics")).body.decode().splitlines()
    return [line for line in lines if line.startswith(GAUGES) and float(line.rpartition(" ")[2])]


async def episode(mode: str, seed: int) -> None:
    """One of them. Raises AssertionError for anything that is left or wrong."""
    chance = random.Random(f"{mode} {seed}")
    counts = chance.choice((1, 2, 2, 3)), chance.choice((1, 2, 2, 3))
    before = descriptors()
    soon = patch.object(kv_cache, "LATE_SECONDS", (0.05, 0.2, 0.5))
    async with service(mode, *counts, **settings_of(chance)) as s:
        engines: list[Engine] = [*s.prefill, *s.decode]
        for engine in chance.sample(engines, chance.randrange(len(engines) + 1)):
            await engine.behave(manner_of(chance))
        work = [client_of(s, random.Random(chance.random()), number) for number in range(chance.randrange(4, 16))]
        with soon:
            results = await asyncio.gather(disturb(s, random.Random(chance.random()), chance.randrange(8)), *work)
            complaints = [text for text in results if text]
            await rest_of(s)
        assert not complaints, "\n".join(map(str, complaints))
    await until(lambda: descriptors() <= before or (gc.collect() and descriptors() <= before), 2, left_open)


def descriptors() -> int:
    """How many are open.

    A connection that asyncio accepts while its server closes is left to the garbage collector (Server._attach raises,
    CPython 3.11): that happens to the engines here, whenever one of them begins to refuse, and is nobody's leak.
    """
    return len(os.listdir("/proc/self/fd"))


def left_open() -> str:
    """The sockets that are open, for a message."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as sock:
            found.append(str(sock.getsockname()))
            found.append(str(sock.getpeername()))
    return f"descriptors are left: {found}"


def main(mode: str, first: int, last: int) -> int:
    """Run the seeds one after the other; the number of those that failed."""
    failed = 0
    for seed in range(first, last + 1):
        try:
            asyncio.run(asyncio.wait_for(episode(mode, seed), 240))
        except Exception as error:
            failed += 1
            print(f"{mode} {seed}: {type(error).__name__} {error}", flush=True)
    print(f"{mode} {first}-{last}: {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
