"""Short time limits of one exchange with an engine."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from stormc_proxy.http.deadline import Deadline


class TimedExchange(Protocol):
    """An exchange that somebody waits for."""

    def look(self, now: float) -> None:
        """End it if its time limit is over."""

    def seconds_left(self, now: float) -> float:
        """Of its time limit; infinite when nobody waits any more."""


class ExchangeTimeout:
    """Ends an exchange that keeps silent for too long, with patience for a loop that was late itself."""

    __slots__ = ("_deadline", "_exchange", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, exchange: TimedExchange) -> None:
        """Looks at the exchange for the first time in `seconds`."""
        self._loop, self._exchange = loop, exchange
        self._deadline = Deadline(loop, seconds, self._fired)

    def cancel(self) -> None:
        """Look at it no more."""
        self._deadline.cancel()

    def _fired(self) -> None:
        self._exchange.look(self._loop.time())
        seconds_left = self._exchange.seconds_left(self._loop.time())
        if seconds_left < math.inf:
            self._deadline = Deadline(self._loop, max(seconds_left, 0.0), self._fired)
