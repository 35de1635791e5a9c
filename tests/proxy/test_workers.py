"""Several workers on one port: what one of them knows, all know."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from stormc_proxy.fleet.instance import FAULTY, HEALTHY
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.shared_pool import SharedPool, shared_pool
from stormc_proxy.fleet.shared_table import SharedTable
from stormc_proxy.settings import Address
from stormc_proxy.workers import summed_metrics, summed_status
from tests.proxy.answers import answer_to
from tests.proxy.client import COMPLETIONS, Reply, ask, question
from tests.proxy.manner import Manner
from tests.proxy.process import Process, started
from tests.proxy.service import until

A, B = Address("a", 1), Address("b", 1)
LINE = [
    "--host", "127.0.0.1", "--port", "{port}", "--prefiller-hosts", "127.0.0.1", "127.0.0.1", "--prefiller-ports",
    "{prefill}", "--decoder-hosts", "127.0.0.1", "127.0.0.1", "--decoder-ports", "{decode}", "--workers", "2",
    "--probe-interval", "0.3",
]  # fmt: skip


class Pair:
    """The same role in two workers, on one clock."""

    def __init__(self, **policy: Any) -> None:
        self.now, self.table = 100.0, SharedTable(2)
        self.first, self.second = (
            shared_pool(self.table, worker)("decode", [A, B], PoolPolicy(**policy), lambda: self.now)
            for worker in (0, 1)
        )

    def states(self, address: Address) -> list[str]:
        """The state of an instance in both."""
        for pool in (self.first, self.second):
            pool.sync()
        return [pool.instances[address].state for pool in (self.first, self.second)]


def test_the_load_of_one_moves_the_pick_of_the_other() -> None:
    pair = Pair()
    lease = pair.first.pick(100)
    assert lease is not None and lease.instance.address == A
    for _ in range(3):
        other = pair.second.pick(10)
        assert other is not None and other.instance.address == B
    lease.release()
    back = pair.second.pick(1)
    assert back is not None and back.instance.address == A


def test_failures_of_all_workers_count_and_one_probe_readmits_for_all() -> None:
    pair = Pair()

    def fail(pool: SharedPool) -> None:
        pool.failed(pool.instances[A])

    for pool in (pair.first, pair.second, pair.first):
        fail(pool)
    assert pair.states(A) == [HEALTHY, HEALTHY]
    fail(pair.second)
    assert pair.states(A) == [FAULTY, FAULTY]
    assert pair.second.pick(1, [B]) is None
    pair.first.probed(pair.first.instances[A], True)
    assert pair.states(A) == [HEALTHY, HEALTHY]
    assert [pool.instances[A].failures for pool in (pair.first, pair.second)] == [0, 0]
    assert [pool.instances[A].epoch for pool in (pair.first, pair.second)] == [1, 1]


def test_a_success_in_one_resets_the_failures_of_all() -> None:
    pair = Pair()
    for pool in (pair.first, pair.second, pair.second):
        pool.failed(pool.instances[A])
    pair.first.succeeded(pair.first.instances[A])
    pair.states(A)
    for _ in range(3):
        pair.second.failed(pair.second.instances[A])
    assert pair.states(A) == [HEALTHY, HEALTHY]


def test_a_lease_from_before_the_reset_changes_nothing() -> None:
    pair = Pair(max_failures=0)
    old = pair.second.pick(100, [B])
    assert old is not None
    pair.first.failed(pair.first.instances[A])
    assert pair.states(A) == [FAULTY, FAULTY]
    pair.first.probed(pair.first.instances[A], True)
    assert pair.states(A) == [HEALTHY, HEALTHY]
    old.release()
    assert pair.second.instances[A].load == sum(pair.second.instances[A].loads) == 0


def test_what_a_dead_worker_held_is_free_again() -> None:
    pair = Pair()
    assert pair.second.pick(100, [B]) is not None
    pair.table.clear(1)
    assert sum(pair.first.instances[A].loads) == 0


def test_a_table_that_is_full_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc_proxy.fleet.shared_table.ROWS", 2)
    table = SharedTable(1)
    assert len({table.row("decode", Address("h", port)) for port in (1, 2)}) == 2
    with pytest.raises(OverflowError, match="more than 2 instances"):
        table.row("decode", Address("h", 3))


def test_metrics_and_status_add_up() -> None:
    requests, up = "# HELP requests_total R.\n# TYPE requests_total counter\n", "# TYPE proxy_instance_up gauge\n"
    own = f'{requests}requests_total{{a="1"}} 2\n{up}proxy_instance_up{{i="a"}} 1\n'
    other = f'{requests}requests_total{{a="1"}} 3\nrequests_total{{a="2"}} 4\n{up}proxy_instance_up{{i="a"}} 1\n'
    whole = f'{requests}requests_total{{a="1"}} 5\nrequests_total{{a="2"}} 4\n{up}proxy_instance_up{{i="a"}} 1\n'
    assert summed_metrics({1: own, 0: other}, 1) == whole, "all lines of a metric in one group, as the format has it"
    status: dict[str, Any] = {
        "active": 1, "requests": 2, "tokens": 3, "retries": 0, "recomputes": 0, "awaitedCallbacks": 0,
        "prefix": {"keys": 5, "promptTokens": 9, "estimatedTokens": 6, "reportedTokens": 7},
        "resumes": 0, "alone": 0, "ends": {"complete": 2}, "prefill": [], "history": [[1, 2, 0, 1]],
        "firstTokenCounts": {"50": 2}, "interTokenCounts": {},
        "decode": [{"address": "a:1", "score": 1.5, "active": 1, "requests": 2, "failedRequests": 0,
                    "lastFailure": "", "lastFailureSecondsAgo": None}],
    }  # fmt: skip
    colleague: dict[str, Any] = json.loads(json.dumps(status))
    colleague["decode"][0].update(lastFailure="502", lastFailureSecondsAgo=3.0)
    colleague["firstTokenCounts"]["7"] = 1
    summed = summed_status(status, [json.dumps(colleague).encode()])
    assert summed["firstTokenCounts"] == {"50": 4, "7": 1}
    assert summed["decode"][0]["lastFailure"] == "502", "that of the worker that saw one last"
    assert summed["prefix"] == {"keys": 5, "promptTokens": 18, "estimatedTokens": 12, "reportedTokens": 14}
    assert (summed["requests"], summed["ends"], summed["history"]) == (4, {"complete": 4}, [[2, 4, 0, 2]])
    assert (summed["decode"][0]["requests"], summed["decode"][0]["score"]) == (4, 3.0)


def children(p: Process) -> list[int]:
    """The workers' process ids."""
    return [int(pid) for pid in Path(f"/proc/{p.process.pid}/task/{p.process.pid}/children").read_text().split()]


async def many(p: Process, count: int) -> list[Reply]:
    """Answers to requests on connections of their own, so that both workers get some."""
    return list(await asyncio.gather(*(
        ask(p.port, "POST", COMPLETIONS, question(False, k % 2 == 0, text=f"Q{k}")) for k in range(count)
    )))  # fmt: skip


async def test_callbacks_find_their_worker_and_a_dead_one_is_replaced() -> None:
    async with started("layerwise", LINE, (2, 2)) as p:
        assert [r.text() for r in await many(p, 40)] == [answer_to(f"Q{k}", 8) for k in range(40)]
        text = (await ask(p.port, "GET", "/metrics")).body.decode()
        counts = re.findall(r'requests_total\{path="/v1/completions",end="complete",status="200"\} (\d+)', text)
        assert counts == ["40"], "of both workers"
        status = (await ask(p.port, "GET", "/status")).json
        assert sum(instance["requests"] for instance in status["decode"]) == 40
        first = children(p)
        assert len(first) == 2
        os.kill(first[1], signal.SIGKILL)
        await until(lambda: len(children(p)) == 2 and children(p) != first, 5.0)
        await asyncio.sleep(0.5)
        assert [r.status for r in await many(p, 20)] == [200] * 20


async def test_every_worker_isolates_what_fails_and_takes_it_back() -> None:
    async with started("layerwise", LINE, (2, 2)) as p:
        broken = p.engines["decode"][0]
        broken.manner = Manner(fault="500", health=500)
        assert {r.status for r in await many(p, 24)} == {200}
        await asyncio.sleep(0.5)
        met = len(broken.seen)
        assert {r.status for r in await many(p, 24)} == {200}
        assert len([s for s in broken.seen[met:] if s.path != "/health"]) == 0
        broken.manner = Manner()
        await asyncio.sleep(1.6)
        met = len(broken.seen)
        assert {r.status for r in await many(p, 24)} == {200}
        assert [s for s in broken.seen[met:] if s.path != "/health"]


async def test_workers_send_a_conversation_to_one_prefill_instance() -> None:
    async with started("layerwise", LINE, (2, 2)) as p:
        messages: list[dict[str, str]] = []
        for turn in range(12):
            messages.append({"role": "user", "content": f"question {turn} " + "word " * 300})
            body = {"model": "m", "messages": messages, "max_tokens": 2}
            assert (await ask(p.port, "POST", "/v1/chat/completions", body)).status == 200
        seen = [sum("completions" in request.path for request in e.seen) for e in p.engines["prefill"]]
        assert sorted(seen) == [0, 12]
