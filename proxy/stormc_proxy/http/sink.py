"""Where the body of an engine's answer goes while it arrives."""

from __future__ import annotations

from typing import Protocol

from stormc_proxy.http.events import unframed


class Sink(Protocol):
    """Where a body goes while it arrives."""

    def chunks(self, framed: bytes, count: int, whole: bool) -> None:
        """`count` whole chunks with their framing, ending where an event ends if the body is events.

        `whole` tells that each of them does, so that no event is torn by framing.
        """

    def data(self, data: bytes) -> None:
        """Bytes of a body that is not chunked."""


class Collected:
    """A sink that keeps the body."""

    def __init__(self) -> None:
        """Empty."""
        self._parts: list[bytes] = []

    def chunks(self, framed: bytes, count: int, whole: bool) -> None:
        """Keep the chunks' payload."""
        self._parts.append(unframed(framed))

    def data(self, data: bytes) -> None:
        """Keep the bytes."""
        self._parts.append(data)

    def body(self) -> bytes:
        """Everything so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
