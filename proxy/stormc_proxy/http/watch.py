"""Time limits of one exchange with an engine."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stormc_proxy.http.answer import Head
from stormc_proxy.http.deadline import LONG_SECONDS, Deadline, Sweep
from stormc_proxy.outcomes import Outcome


class Waiting(Protocol):
    """An exchange that somebody waits for."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""

    @property
    def awaited_head(self) -> asyncio.Future[Head] | None:
        """The head of its answer."""

    def seconds_left(self, limit: float, head: bool) -> float:
        """Of a time limit."""

    def abort(self, outcome: Outcome) -> None:
        """End it as failed."""


class Watch:
    """Ends an exchange that keeps silent for too long, with patience for a loop that was late itself."""

    __slots__ = ("_awaited", "_connection", "_deadline", "_head", "_limit", "_sweep")

    def __init__(
        self, connection: Waiting, awaited: asyncio.Future[Head] | asyncio.Future[None], limit: float, sweep: Sweep
    ) -> None:
        """`awaited` is the answer's head, or the end of its body."""
        self._connection, self._awaited, self._limit, self._sweep = connection, awaited, limit, sweep
        self._head = awaited is connection.awaited_head
        self._deadline: Deadline | None = None
        if limit >= LONG_SECONDS:
            sweep.add(self)
        else:
            self._deadline = Deadline(connection.loop, limit, self._fired)

    def cancel(self) -> None:
        """It came."""
        if self._deadline is not None:
            self._deadline.cancel()
        else:
            self._sweep.discard(self)

    def look(self, now: float) -> None:
        """End the exchange if its time is over."""
        if not self._awaited.done() and self._connection.seconds_left(self._limit, self._head) <= 0:
            self._connection.abort(Outcome.NO_ANSWER if self._head else Outcome.IDLE)

    def _fired(self) -> None:
        self.look(self._connection.loop.time())
        if not self._awaited.done():
            left = self._connection.seconds_left(self._limit, self._head)
            self._deadline = Deadline(self._connection.loop, max(left, 0.0), self._fired)
