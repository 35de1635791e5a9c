"""To whom a request goes: what HTTP has to know of an instance."""

from __future__ import annotations

from typing import Protocol

from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address


class RunningExchange(Protocol):
    """An exchange that can be cut when its target is found to be gone."""

    def stalled_since(self, moment: float) -> bool:
        """Whether nothing has arrived from the target since then."""

    def abort(self, outcome: Outcome) -> None:
        """End the exchange as failed."""


class Target(Protocol):
    """An instance, as far as HTTP is concerned."""

    address: Address
    exchanges: set[RunningExchange]
    """Exchanges with it that run now."""
