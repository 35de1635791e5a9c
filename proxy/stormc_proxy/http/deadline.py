"""Time limits of a process that may itself have stood still: a timer that fires late says nothing about the peer.

A proxy that was stopped for seconds finds all its timers due before it has looked at a single socket. What fires late
gets one more turn, within which what has arrived in the meantime is seen. A process that is late all the time has to
judge all the same, so nobody gets more than a few turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

LATE_SECONDS = 0.25
"""A timer that fires so much after its time is late."""
TURN_SECONDS = 1.0
"""Most time that a late timer adds for one more turn."""
MOST_TURNS = 3
"""Most turns that a late timer adds."""
LONG_SECONDS = 10.0
"""Limits from here on are looked at once a second, all together; a timer for each would cost more than it is worth."""


class Deadline:
    """Calls back after some seconds, unless it is cancelled; once more later when the loop itself was late."""

    __slots__ = ("_call", "_due", "_handle", "_loop", "_seconds", "_turns")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        """`call` is called in `seconds`, counted from now."""
        self._loop, self._seconds, self._call = loop, seconds, call
        self._due, self._turns = loop.time() + seconds, 0
        self._handle = loop.call_later(seconds, self._fired)

    def cancel(self) -> None:
        """The call will not come."""
        self._handle.cancel()

    def _fired(self) -> None:
        late = self._loop.time() - self._due
        if late > LATE_SECONDS and self._turns < MOST_TURNS:
            self._turns += 1
            seconds = min(self._seconds, TURN_SECONDS)
            self._due = self._loop.time() + seconds
            self._handle = self._loop.call_later(seconds, self._fired)
        else:
            self._call()


class Watched(Protocol):
    """What waits within a long limit."""

    def look(self, now: float) -> None:
        """End the waiting if its time is over."""


class Sweep:
    """Looks at everything that waits, once a second, unless this process was late itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs a timer from the first `add` on."""
        self._loop, self._due, self._late_turns = loop, 0.0, 0
        self._waiting: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        """Look at it from now on."""
        self._waiting.add(watched)
        if self._timer is None:
            self._turn()

    def discard(self, watched: Watched) -> None:
        """Look at it no more."""
        self._waiting.discard(watched)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._due = self._loop.time() + TURN_SECONDS
        self._timer = self._loop.call_later(TURN_SECONDS, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._due > LATE_SECONDS and self._late_turns < MOST_TURNS
        self._late_turns = self._late_turns + 1 if late else 0
        if not late:
            for watched in list(self._waiting):
                watched.look(now)
        self._turn()
