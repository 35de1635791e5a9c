"""How many requests, and how many bytes of them, may be held at a time."""

from __future__ import annotations

FREE_BYTES = 64 * 1024
"""Bodies up to this size are bounded by the number of requests."""


class Admission:
    """Counts what is there; what comes over the limits is refused at once, before it costs anything."""

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        """How many requests and bytes may be held at a time; 0 is no limit."""
        self.max_requests, self.max_bytes = max_requests, max_bytes
        self.requests = self.bytes = 0

    def take_bytes(self, count: int) -> bool:
        """Room for part of a body. One body alone always fits, whatever its size."""
        if self.max_bytes and self.bytes and self.bytes + count > self.max_bytes:
            return False
        self.bytes += count
        return True

    def give_bytes(self, count: int) -> None:
        """So many bytes are not held any more."""
        self.bytes -= count

    def take(self, count: int = 1) -> bool:
        """Room for so many requests to engines; a single one that needs more than all gets them when it is alone."""
        if self.max_requests and self.requests and self.requests + count > self.max_requests:
            return False
        self.requests += count
        return True

    def give(self, count: int = 1) -> None:
        """So many requests are over."""
        self.requests -= count
