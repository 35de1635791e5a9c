"""What all connections of clients share: limits, who answers, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from stormc_proxy.edge.admission import Admission
from stormc_proxy.http.deadline import LATE_SECONDS, MOST_TURNS
from stormc_proxy.http.reply import Reply
from stormc_proxy.http.request import Heads
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Settings

if TYPE_CHECKING:
    from stormc_proxy.edge.connection import ClientConnection, Request

Responder = Callable[["Request"], "Reply | Coroutine[Any, Any, Reply | bool]"]
"""Answers a request at once, or later; a coroutine that has written its answer itself says whether it may go on."""
SWEEP_SECONDS = 1.0


class Listener:
    """What the connections that one listener took have in common."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, admission: Admission,
        respond: Responder, ended: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        """`ended` hears of requests that never reached `respond`."""
        self.loop, self.settings, self.admission, self.respond, self.ended = loop, settings, admission, respond, ended
        self.time = loop.time
        self.heads = Heads()
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self._due, self._late_turns = loop.time() + SWEEP_SECONDS, 0
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def cors(self, origin: str) -> tuple[tuple[bytes, bytes], ...]:
        """What lets a web page of that origin read an answer."""
        allowed = self.settings.cors_origin
        if not origin or not allowed or allowed not in ("*", origin):
            return ()
        return ((b"Access-Control-Allow-Origin", allowed.encode()),)

    def _sweep(self) -> None:
        """Close what waits too long, unless it was this process that was late."""
        now = self.loop.time()
        late = now - self._due > LATE_SECONDS and self._late_turns < MOST_TURNS
        self._late_turns = self._late_turns + 1 if late else 0
        if not late:
            for connection in [c for c in self.connections if 0 < c.deadline < now]:
                connection.timed_out()
        self._due = now + SWEEP_SECONDS
        self._timer = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Cut all connections."""
        self._timer.cancel()
        for connection in list(self.connections):
            connection.abort()
