"""One request's share of an instance's load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormc_proxy.fleet.instance import Instance

if TYPE_CHECKING:
    from stormc_proxy.fleet.pool import Pool


class Lease:
    """One request's share of an instance's load; released once, ignored after a reset of the score."""

    __slots__ = ("_epoch", "_held", "_load", "_pool", "instance", "matched")

    def __init__(self, pool: Pool, instance: Instance, load: int, matched: int = 0) -> None:
        """Taken by `Pool.pick` only; `matched` bytes of the request should be in the instance's cache."""
        self._pool, self.instance, self._load, self._epoch = pool, instance, load, instance.epoch
        self.matched = matched
        self._held = True

    def release(self) -> None:
        """Give the load back. Safe to call again and after the instance was isolated or removed."""
        held, self._held = self._held, False
        instance, load = self.instance, self._load
        if held:
            instance.active -= 1
            if instance.epoch == self._epoch:
                instance.load -= load
                self._pool.moved(instance)
