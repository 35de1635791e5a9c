"""A pool of instances under a clock that a test turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stormc_proxy.fleet.instance import SCALE, Instance
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address

A, B, C = (Address("10.0.0.1", 8000), Address("10.0.0.2", 8000), Address("10.0.0.3", 8000))


class Exchange:
    """A running exchange that last heard of its instance at some moment."""

    def __init__(self, heard: float) -> None:
        self.heard, self.ended = heard, ""

    def stalled_since(self, moment: float) -> bool:
        return self.heard <= moment

    def abort(self, outcome: Outcome) -> None:
        self.ended = outcome.text


class Scene:
    """A pool, a clock, and what the pool told."""

    def __init__(self, *addresses: Address, **policy: Any) -> None:
        self.now = 0.0
        self.told: list[tuple[float, str, str]] = []
        self.leases: list[Lease] = []
        self.pool = Pool("prefill", addresses, PoolPolicy(**policy), lambda: self.now, self._tell)

    def _tell(self, event: str, instance: Instance) -> None:
        self.told.append((self.now, event, instance.address.host[-1]))

    def __getitem__(self, address: Address) -> Instance:
        return self.pool.instances[address]

    def fail(self, address: Address, times: int = 1) -> None:
        for _ in range(times):
            self.pool.failed(self[address])

    def probe(self, address: Address, healthy: bool, times: int = 1) -> None:
        for _ in range(times):
            self.pool.probed(self[address], healthy)

    def pick(self, load: int = SCALE, avoid: Sequence[Address] = ()) -> str:
        lease = self.pool.pick(load, avoid)
        if lease is None:
            return "-"
        self.leases.append(lease)
        return lease.instance.address.host[-1]

    def picks(self, many: int) -> str:
        return "".join(self.pick() for _ in range(many))


# -- the seed's rule, event by event -----------------------------------------------------------------------------------
