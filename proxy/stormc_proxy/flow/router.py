"""The state that all requests share: instances, connections, callbacks that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.flow.retry_budget import RetryBudget
from stormc_proxy.http.endpoint import Upstream
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.http.tls import Tls, of_engines
from stormc_proxy.settings import ROLES, Settings
from stormc_proxy.telemetry.counts import Counts

if TYPE_CHECKING:
    from stormc_proxy.flow.attempt import Attempt


class Router:
    """What a request needs on its way."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        notify: Callable[[str, Instance], None],
        pool: type[Pool] = Pool,
        unresolved: Callable[[str], None] = lambda name: None,
    ) -> None:
        """Nothing runs yet. `pool` is that of one worker among several; `unresolved(name)` hears of names."""
        self.settings, self.loop = settings, loop
        policy = policy_of(settings)
        self.affinity = Affinity(settings.prefix_keys, settings.prefix_weight)
        self._notify = notify
        self.pools = {
            role: pool(role, settings.addresses(role), policy, loop.time, self._instance_changed) for role in ROLES
        }
        self.prefill, self.decode = self.pools["prefill"], self.pools["decode"]
        self.resolver = Resolver(loop, unresolved)
        self.upstream = Upstream(loop, self.resolver, settings.connect_timeout_seconds, _engine_tls(settings))
        self.rendezvous: dict[str, Attempt] = {}
        self.budget = RetryBudget(settings.retry_budget_percent)
        self.counts = Counts()
        self.ends: set[str] = set()
        """Paths whose streams the engines are known to end in the words of their API ([DONE], message_stop, …)."""
        self.callback_url = ""
        """Where decode calls back, up to the secret of an attempt; known when the port is."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.late: set[asyncio.Task[Any]] = set()
        """Farewells that are tried again."""

    def _instance_changed(self, event: str, instance: Instance) -> None:
        if instance.role == "prefill":
            self.affinity.instance_changed(event, instance)
        self._notify(event, instance)

    def apply(self, settings: Settings) -> None:
        """Take over reloaded settings; running requests go on."""
        self.settings = settings
        self.affinity.weight = settings.prefix_weight
        self.budget.percent = settings.retry_budget_percent
        for role, pool in self.pools.items():
            pool.policy = policy_of(settings)
            pool.replace(settings.addresses(role))
        self.upstream.set_timeout(settings.connect_timeout_seconds)
        self.forget()

    def forget(self) -> None:
        """Close idle connections to addresses that are no instances any more."""
        self.upstream.forget(instance.address for pool in self.pools.values() for instance in pool)

    def spawn(self, work: Coroutine[Any, Any, Any], among: set[asyncio.Task[Any]] | None = None) -> asyncio.Task[Any]:
        """A task that is kept until it is done; with those of requests unless `among` names others."""
        tasks = self._tasks if among is None else among
        task = self.loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def close(self) -> None:
        """Cancel what still runs and close idle connections."""
        for task in (*self._tasks, *self.late):
            task.cancel()
        self.upstream.close()


def _engine_tls(s: Settings) -> Tls | None:
    return of_engines(s.engine_tls, s.engine_cert_file, s.engine_key_file, s.engine_ca_file)


def policy_of(settings: Settings) -> PoolPolicy:
    """The settings that a pool needs."""
    return PoolPolicy(
        settings.max_failures, settings.cumulative_failures, settings.slow_start_seconds, settings.max_backoff_seconds,
        settings.max_isolated_percent, settings.panic, settings.probe_interval_seconds,
    )  # fmt: skip
