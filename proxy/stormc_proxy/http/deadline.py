"""Time limits of a process that may itself have stood still: a timer that fires late says nothing about the peer.

A proxy that was stopped for seconds finds all its timers due before it has looked at a single socket. What fires late
gets one more turn, within which what has arrived in the meantime is seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LATE_SECONDS = 0.25
"""From here on a timer is late."""
TURN_SECONDS = 1.0
"""What is given once more, at most."""


class Deadline:
    """Calls back after some seconds, unless it is cancelled; once more later when the loop itself was late."""

    __slots__ = ("_call", "_due", "_handle", "_loop", "_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        """The time begins to run."""
        self._loop, self._seconds, self._call = loop, seconds, call
        self._due = loop.time() + seconds
        self._handle = loop.call_later(seconds, self._fired)

    def cancel(self) -> None:
        """Never call."""
        self._handle.cancel()

    def _fired(self) -> None:
        late = self._loop.time() - self._due
        if late > LATE_SECONDS:
            seconds = min(self._seconds, TURN_SECONDS)
            self._due = self._loop.time() + seconds
            self._handle = self._loop.call_later(seconds, self._fired)
        else:
            self._call()
