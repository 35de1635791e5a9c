"""How late the loop is: a proxy that stands still looks like slow engines, and must not be taken for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL_SECONDS = 0.25
STALL_SECONDS = 0.25


class LoopLag:
    """Measures all the time how late the event loop is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stalled: Callable[[float], None]) -> None:
        """`stalled(seconds)` hears of every time the loop stood still."""
        self._loop, self._stalled = loop, stalled
        self.stalls, self.worst = 0, 0.0
        self._due = loop.time() + INTERVAL_SECONDS
        self._timer = loop.call_later(INTERVAL_SECONDS, self._look)

    def _look(self) -> None:
        late = max(0.0, self._loop.time() - self._due)
        self.worst = max(self.worst, late)
        if late > STALL_SECONDS:
            self.stalls += 1
            self._stalled(late)
        self._due = self._loop.time() + INTERVAL_SECONDS
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._look)

    def take_worst(self) -> float:
        """The longest delay since the last call."""
        worst, self.worst = self.worst, 0.0
        return worst

    def close(self) -> None:
        """Stop measuring."""
        self._timer.cancel()
