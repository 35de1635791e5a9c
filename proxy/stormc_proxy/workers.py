"""Several processes on one port: the parent forks them and replaces the dead, each reaches the others by a socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stormc_proxy.fleet.shared_table import SharedTable
from stormc_proxy.http.answer_head import Heads
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.deadline import Sweep
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.outcomes import Outcome
from stormc_proxy.telemetry.latency import summed

ASK_SECONDS = 2.0
FORK_SECONDS = 1.0
_OF_ALL = ("instance_up", "instance_state", "instance_score", "instance_failures")
"""Metrics of instances that every worker knows for all; the others are each worker's own and add up."""


@dataclass(frozen=True)
class Crew:
    """What a worker knows of the others."""

    index: int
    count: int
    table: SharedTable
    parent: int

    def address(self, index: int) -> str:
        """Of a worker's socket, in Linux's abstract namespace: no file, no clean-up."""
        return f"\0proxy-{self.parent}-{index}"

    @property
    def orphaned(self) -> bool:
        """Whether the parent is gone, and with it whoever replaces the dead and passes signals on."""
        return os.getppid() != self.parent

    def listening(self) -> socket.socket:
        """The socket on which this worker answers the others."""
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(self.address(self.index))
        return sock

    def others(self) -> Iterable[int]:
        """The other workers."""
        return (index for index in range(self.count) if index != self.index)

    async def ask(self, index: int, path: str) -> tuple[int, bytes]:
        """Status and body of another worker's answer to a GET. Raises UpstreamError."""
        loop = asyncio.get_running_loop()
        peer = socket.socket(socket.AF_UNIX)
        peer.setblocking(False)
        try:
            peer.connect(self.address(index))
            _, connection = await loop.create_unix_connection(lambda: Connection(_UsedOnce(loop)), sock=peer)
        except OSError as error:
            peer.close()
            raise UpstreamError(Outcome.REFUSED, sent=False) from error
        try:
            request = f"GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n".encode()
            answer = await connection.send(request, b"", None, 0.0)
            return answer.status, await connection.collect(0.0)
        finally:
            connection.close()

    async def ask_all(self, path: str) -> dict[int, bytes]:
        """What the other workers answer to a GET, by their number; those that do not are left out."""
        others = list(self.others())
        questions = [asyncio.wait_for(self.ask(index, path), ASK_SECONDS) for index in others]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        return {
            index: answer[1] for index, answer in zip(others, answers, strict=True)
            if not isinstance(answer, BaseException) and answer[0] == 200
        }  # fmt: skip


class _UsedOnce:
    """The owner of a connection to another worker: it is closed after one exchange."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keeps no connection."""
        self.loop, self.sweep, self.heads = loop, Sweep(loop), Heads()

    def put(self, connection: Connection) -> None:
        """Close the connection."""
        connection.close()

    def drop(self, connection: Connection) -> None:
        """The connection is closed already."""


def summed_metrics(texts: Mapping[int, str], own: int) -> str:
    """The workers' metrics as one, each family in one piece; series of one process have its number as a label."""
    values: dict[str, float] = defaultdict(float)
    families: dict[str, dict[str, None]] = {}
    for number, text in sorted(texts.items()):
        family = ""
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                families.setdefault(family, {}).setdefault(line)
            elif number == own or not any(name in series for name in _OF_ALL):
                families.setdefault(family, {}).setdefault(series)
                values[series] += float(value)
    lines = (line for family in families.values() for line in family)
    return "\n".join(f"{key} {values[key]:.15g}" if key in values else key for key in lines) + "\n"


def summed_status(own: dict[str, Any], others: Iterable[bytes]) -> dict[str, Any]:
    """The workers' status as one: counts add up, the state of an instance is the same for all."""
    whole = json.loads(json.dumps(own))
    for text in others:
        other = json.loads(text)
        for key in ("active", "requests", "tokens", "retries", "recomputes", "resumes", "alone", "awaitedCallbacks"):
            whole[key] += other[key]
        for key in ("promptTokens", "estimatedTokens", "reportedTokens"):
            whole["prefix"][key] += other["prefix"][key]
        for key in ("firstTokenCounts", "interTokenCounts"):
            whole[key] = summed(whole[key], other[key])
        for end, count in other["ends"].items():
            whole["ends"][end] = whole["ends"].get(end, 0) + count
        for role in ("prefill", "decode"):
            other_instances = {instance["address"]: instance for instance in other[role]}
            for instance in whole[role]:
                same = other_instances.get(instance["address"])
                score = ["score"] if instance["score"] is not None else []
                for key in ("active", "requests", "failedRequests", *score):
                    instance[key] += same[key] or 0 if same else 0
                if same and same["lastFailure"]:
                    _take_later_failure(instance, same)
        shared = min(len(whole["history"]), len(other["history"]))
        for number in range(1, shared + 1):
            pairs = zip(whole["history"][-number], other["history"][-number], strict=True)
            whole["history"][-number] = [ours + theirs for ours, theirs in pairs]
    return whole  # type: ignore[no-any-return]


def _take_later_failure(instance: dict[str, Any], same: Mapping[str, Any]) -> None:
    ago = instance["lastFailureSecondsAgo"]
    if ago is None or same["lastFailureSecondsAgo"] < ago:
        for key in ("lastFailure", "lastFailureSecondsAgo"):
            instance[key] = same[key]


def _fork(work: Callable[[], int]) -> int:
    """The process id of a child that does some work and ends with its code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            code = work()
        finally:
            os._exit(code)
    return child


def run(count: int, serve: Callable[[Crew], int]) -> int:
    """Run workers until SIGTERM or SIGINT, which each of them gets; 0 when all of them ended well.

    A worker that dies is replaced; what it had put on the instances is taken back first.
    """
    table = SharedTable(count)
    parent = os.getpid()
    stopping = False
    children: dict[int, int] = {}

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, signal.SIGTERM)

    def start(index: int) -> None:
        children[_fork(lambda: serve(Crew(index, count, table, parent)))] = index

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for index in range(count):
        start(index)
    worst = 0
    while children:
        child, status = os.wait()
        index_of_dead = children.pop(child, None)
        if index_of_dead is None:
            continue
        if stopping:
            worst = max(worst, os.waitstatus_to_exitcode(status) & 0xFF)
            continue
        table.clear(index_of_dead)
        time.sleep(FORK_SECONDS)
        start(index_of_dead)
    return worst
