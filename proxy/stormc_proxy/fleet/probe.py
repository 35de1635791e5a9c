"""The health of every instance, asked each few seconds: what isolates an idle instance, and alone lets one back."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.http.deadline import Deadline
from stormc_proxy.http.endpoint import Endpoint, Upstream
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address, Settings

SPREAD = 0.2
"""Share of the interval over which the probes of a round begin, so that hundreds do not stop the traffic."""


class Fleet(Protocol):
    """All instances, and how they are reached."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    pools: dict[str, Pool]
    resolver: Resolver
    upstream: Upstream


class Prober:
    """Asks /health of every instance in parallel, each on a connection of its own."""

    def __init__(self, fleet: Fleet) -> None:
        """Probes nothing before `run`, `round` or `begin`."""
        self._fleet = fleet
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Probe round after round, until cancelled."""
        loop = self._fleet.loop
        while True:
            began = loop.time()
            interval = self._fleet.settings.probe_interval_seconds
            await self.round(interval * SPREAD)
            await self.settle()
            await asyncio.sleep(max(0.0, began + interval - loop.time()))

    async def round(self, spread: float = 0.0) -> None:
        """Start one probe of every instance."""
        instances = [(pool, instance) for pool in self._fleet.pools.values() for instance in pool]
        pause = spread / len(instances) if len(instances) > 32 else 0.0
        for pool, instance in instances:
            self.begin(pool, instance)
            if pause:
                await asyncio.sleep(pause)

    def begin(self, pool: Pool, instance: Instance) -> None:
        """Start one probe of one instance."""
        task = self._fleet.loop.create_task(self._probe(pool, instance))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait for the probes that run."""
        if self._running:
            await asyncio.wait(set(self._running))

    def close(self) -> None:
        """End the probes that run."""
        for task in self._running:
            task.cancel()

    async def _probe(self, pool: Pool, instance: Instance) -> None:
        why = await self._health_problem(instance.address)
        if why is None or why.counts:  # a resolver that is away, or no descriptor, says nothing about the instance
            text = why.text if why is not None else ""
            pool.probed(instance, why is None, text, mute=why not in (None, Outcome.SERVER_ERROR))

    async def healthy(self, address: Address) -> bool:
        """Whether /health answers 200 in time."""
        return await self._health_problem(address) is None

    async def _health_problem(self, address: Address) -> Outcome | None:
        """Why /health does not answer 200 in time; None if it does."""
        fleet = self._fleet
        late = fleet.loop.create_future()
        asking = fleet.loop.create_task(self._ask(address))
        deadline = Deadline(fleet.loop, fleet.settings.probe_timeout_seconds, lambda: late.set_result(None))
        try:
            await asyncio.wait((asking, late), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return Outcome.NO_ANSWER
            return asking.result()
        finally:
            deadline.cancel()
            late.cancel()
            asking.cancel()

    async def _ask(self, address: Address) -> Outcome | None:
        settings = self._fleet.settings
        endpoint = Endpoint(address, self._fleet.loop, self._fleet.resolver, 0.0, tls=self._fleet.upstream.tls)
        try:
            connection = await endpoint.new_connection()
        except UpstreamError as error:
            return error.outcome
        try:
            key = f"Authorization: Bearer {settings.api_key}\r\n" if settings.api_key else ""
            request = b"GET /health HTTP/1.1\r\n%b%bConnection: close\r\n\r\n" % (endpoint.host_line, key.encode())
            head = await connection.send(request, b"", None, 0.0)
        except UpstreamError as error:
            return error.outcome
        finally:
            connection.close()
        return None if head.status == 200 else Outcome.SERVER_ERROR
