"""Large requests, written as fast as the peer reads them, so that they are not held twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

PIECE_BYTES = 256 * 1024
"""Part of a large request that is written at a time."""

Pieces = bytes | Sequence[bytes | memoryview]
"""A request's body: whole, or in parts that are never put together."""


class RequestWriter(asyncio.Protocol):
    """The sending half of a connection."""

    __slots__ = ("_loop", "_writable", "written")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has written nothing yet."""
        self._loop = loop
        self._writable: asyncio.Future[None] | None = None
        self.written = 0.0
        """When it was written last, in the loop's time."""

    async def write(self, transport: asyncio.Transport, body: Pieces, response: asyncio.Future[Any]) -> None:
        """Write a body piece by piece; an early answer ends it."""
        for piece in [body] if isinstance(body, bytes) else body:
            view = memoryview(piece)
            for at in range(0, len(view), PIECE_BYTES):
                if response.done():
                    return
                transport.write(view[at : at + PIECE_BYTES])
                self.written = self._loop.time()
                if self._writable is not None:
                    await asyncio.wait((self._writable, response), return_when=asyncio.FIRST_COMPLETED)

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self._writable = self._writable or self._loop.create_future()

    def resume_writing(self) -> None:
        """The peer has read enough for more to be written."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
