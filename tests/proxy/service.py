"""A proxy in this process with engines of its own behind it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stormc_proxy.edge.server import Server
from stormc_proxy.fleet.instance import Instance
from stormc_proxy.settings import Address, Settings, checked
from stormc_proxy.telemetry.journal import Journal
from tests.proxy.client import Client, Reply, ask, path_of, request
from tests.proxy.engine import Engine
from tests.proxy.manner import Fabric, Manner

T = TypeVar("T")
PATIENCE = 10.0
"""Other work of the machine may make everything so much slower."""


def run(work: Coroutine[Any, Any, T], seconds: float = 30.0) -> T:
    """The result of a test's coroutine; nothing may hang."""
    return asyncio.run(asyncio.wait_for(work, seconds))


@dataclass
class Service:
    """A running proxy, its engines, its log."""

    server: Server
    port: int
    prefill: list[Engine]
    decode: list[Engine]
    fabric: Fabric
    log: io.StringIO

    def engines(self, role: str) -> list[Engine]:
        """The engines of a role."""
        return self.prefill if role == "prefill" else self.decode

    def instance(self, engine: Engine) -> Instance:
        """What the proxy knows of an engine."""
        return self.server.router.pools[engine.role].instances[Address(engine.host, engine.port)]

    def failures(self, role: str) -> list[int]:
        """Failed requests of each engine of a role."""
        return [self.instance(engine).failed_requests for engine in self.engines(role)]

    async def ask(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """Send a completion or chat request."""
        return await ask(self.port, "POST", path_of("messages" in body), dict(body), headers)

    async def begin(self, body: Mapping[str, Any], buffer: int = 0) -> Client:
        """A connection on which a request was sent."""
        client = await Client.connect(self.port, buffer=buffer)
        client.send(request("POST", path_of("messages" in body), dict(body)))
        return client

    def records(self) -> list[dict[str, Any]]:
        """The log, line by line."""
        self.server.journal.flush()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """The log's lines about requests; a busy machine puts others between them."""
        return [record for record in self.records() if record["event"] == "request"]

    def leaks(self) -> list[str]:
        """What is left of requests that are over."""
        router = self.server.router
        instances = [instance for pool in router.pools.values() for instance in pool]
        found = [f"{i.role} has load {i.load} of {i.active}" for i in instances if i.load or i.active]
        found += [f"{i.role} has {len(i.exchanges)} exchanges" for i in instances if i.exchanges]
        found += [f"{len(router.rendezvous)} callbacks are awaited"] if router.rendezvous else []
        found += [f"{len(router._tasks)} tasks run"] if router._tasks else []
        found += [f"{self.server.metrics.active} requests are active"] if self.server.metrics.active else []
        admission = self.server.admission
        found += [f"{admission.requests} requests, {admission.bytes} bytes"] if admission.requests else []
        for engine in (*self.prefill, *self.decode):
            found += [f"{engine.role} still runs {len(engine.running)} requests"] if engine.running else []
        return found

    async def settled(self, seconds: float = 1.0) -> None:
        """Within a second nothing may be left of any request, at the proxy or at the engines."""
        await until(lambda: not self.leaks(), seconds, lambda: "; ".join(self.leaks()))
        assert not self.fabric.problems, self.fabric.problems


async def until(condition: Any, seconds: float = 1.0, why: Any = None) -> None:
    """Wait until a condition holds; fails when it does not soon, `seconds` on a machine that does nothing else."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, why() if why is not None else f"not within {seconds} s"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def service(
    mode: str, prefill: int = 2, decode: int = 2, config: Path | None = None, family: socket.AddressFamily =
    socket.AF_INET, manner: Manner | None = None, **settings: Any,
) -> AsyncIterator[Service]:  # fmt: skip
    """A proxy with so many engines. Unless the settings say otherwise, probes are rare, and a machine that stands still
    for seconds is no failure of an engine."""
    loop = asyncio.get_running_loop()
    fabric = Fabric()
    engines = {role: [Engine(role, mode, fabric, family) for _ in range(count)]
               for role, count in (("prefill", prefill), ("decode", decode))}  # fmt: skip
    everyone = [*engines["prefill"], *engines["decode"]]
    for engine in everyone:
        await engine.start()
        if manner is not None:
            engine.manner = manner
    addresses = {role: tuple(Address(e.host, e.port) for e in found) for role, found in engines.items()}
    known: dict[str, Any] = {
        "mode": mode, "host": "::1" if family == socket.AF_INET6 else "127.0.0.1", "port": 0,
        "probe_interval_seconds": 60.0, "connect_timeout_seconds": 3.0 * PATIENCE, **addresses, **settings,
    }  # fmt: skip
    log = io.StringIO()
    server = Server(checked(Settings(**known)), config, loop, journal=Journal(loop, log))
    await server.start()
    await server.listen()
    try:
        yield Service(server, server.port, engines["prefill"], engines["decode"], fabric, log)
    finally:
        await server.stop()
        for engine in everyone:
            await engine.stop()
            engine.close()
