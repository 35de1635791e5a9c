"""Retries as a share of the requests within ten seconds, so that a failing fleet is not hit by multiples."""

from __future__ import annotations

WINDOW_SECONDS = 10
FREE = 64
"""Retries within a window that are always allowed."""


class RetryBudget:
    """How many retries are left."""

    def __init__(self, percent: int) -> None:
        """`percent` of the requests may be tried again, beyond the free ones."""
        self.percent, self._requests, self._retries, self._until = percent, 0, 0, 0.0

    def request(self) -> None:
        """Count a request, of which a share may be tried again."""
        self._requests += 1

    def allows(self, now: float) -> bool:
        """Whether one more retry is within the budget; takes it."""
        if now > self._until:
            self._until, self._requests, self._retries = now + WINDOW_SECONDS, self._requests // 2, 0
        if self._retries >= FREE + self._requests * self.percent // 100:
            return False
        self._retries += 1
        return True
