"""Between a streamed answer and its client: what either side may ask of the other."""

from __future__ import annotations

from typing import Protocol

from stormc_proxy.http.answer_head import Head


class Source(Protocol):
    """Where a streamed answer comes from."""

    def pause(self) -> None:
        """Send nothing more for now."""

    def resume(self) -> None:
        """Go on sending."""


class Output(Protocol):
    """Where a streamed answer goes."""

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece of each attempt; what comes too fast makes `source` pause."""

    def write(self, framed: bytes) -> None:
        """Take whole chunks that hold whole events."""
