"""Where the body of an engine's answer goes while it arrives."""

from __future__ import annotations

from typing import Protocol

from stormc_proxy.http.events import unframed


class BodySink(Protocol):
    """Where a body goes while it arrives."""

    def chunks(self, framed: bytes, count: int, whole: bool) -> bool:
        """`count` whole chunks with their framing, ending where an event ends if the body is events.

        `whole` tells that each of them does, so that no event is torn by framing. The result is whether they are part
        of an answer: a comment is none, and keeps nobody waiting longer.
        """

    def data(self, data: bytes) -> bool:
        """Bytes of a body that is not chunked, with the same result."""


class CollectedBody:
    """A sink that keeps the body."""

    def __init__(self) -> None:
        """Has received nothing yet."""
        self._parts: list[bytes] = []

    def chunks(self, framed: bytes, count: int, whole: bool) -> bool:
        """Keep the chunks' payload."""
        self._parts.append(unframed(framed))
        return True

    def data(self, data: bytes) -> bool:
        """Keep the bytes."""
        self._parts.append(data)
        return True

    def body(self) -> bytes:
        """All that has arrived so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
