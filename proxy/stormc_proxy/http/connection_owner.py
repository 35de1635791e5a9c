"""Where a connection to an engine belongs while no request uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from stormc_proxy.http.answer_head import Heads
from stormc_proxy.http.deadline import Sweep

if TYPE_CHECKING:
    from stormc_proxy.http.connection import Connection


class ConnectionOwner(Protocol):
    """What has opened a connection and hears when it is free or closed."""

    loop: asyncio.AbstractEventLoop
    sweep: Sweep
    heads: Heads

    def put(self, connection: Connection) -> None:
        """Take back a connection that is free, for the next request."""

    def drop(self, connection: Connection) -> None:
        """Hear that a connection is closed."""
