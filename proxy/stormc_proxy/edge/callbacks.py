"""Decode's callbacks: it has room for a KV cache, and says where.

Answered at once; connectors read no more than that it came, and hold one of 32 threads until it did. A callback twice,
for a request that is over, or from somebody who was not asked changes nothing. `--metaserver-ack late` answers as the
reference does: after the prefill, 404 for an unknown request, 502 for a prefill that failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from stormc_proxy.edge.connection import Request
from stormc_proxy.flow.api import error_value
from stormc_proxy.flow.attempt import Attempt, is_at
from stormc_proxy.flow.body import loaded
from stormc_proxy.flow.router import Router
from stormc_proxy.http.reply import Reply, json_reply
from stormc_proxy.telemetry.journal import Journal

PATH = "/v1/metaserver/"
_OK = Reply(200, b'{"status":"ok"}')


class Callbacks:
    """What vllm-ascend calls the metaserver: decode posts here where prefill has to push a KV cache."""

    def __init__(self, router: Router, journal: Journal) -> None:
        """`journal` hears of callbacks that are refused."""
        self._router, self._journal = router, journal
        self.refused = 0

    def respond(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """POST to the path that one decode instance was told for one attempt."""
        if request.head.method != "POST":
            return _error(405, "method not allowed", "method_not_allowed")
        try:
            value = loaded(request.body)
        except (ValueError, RecursionError):
            value = None
        request_id = value.get("request_id") if isinstance(value, dict) else None
        if not isinstance(request_id, str):
            return _error(400, "request_id is missing", "invalid_request_error")
        attempt = self._attempt(request.head.path[len(PATH) :], request_id, value.get("remote_host"))
        late = self._router.settings.metaserver_ack == "late"
        if attempt is None or not attempt.called_back(self._router.spawn, request.body.decode()):
            return _error(404, "no such request", "not_found") if late else _OK
        return _late(attempt) if late else _OK

    def _attempt(self, secret: str, request_id: str, remote_host: object) -> Attempt | None:
        """The attempt that decode means; None if it is over, or if it was not this decode instance that called.

        The id is `cmpl-U-0` or `chatcmpl-U`, of parallel samples `0_cmpl-U-0`, in some releases with a random suffix.
        """
        attempt = self._router.rendezvous.get(secret)
        if attempt is None or attempt.key not in request_id:
            return None
        checks = self._router.settings.check_remote_host
        if checks and not is_at(attempt.instance.address.host, remote_host):
            self.refused += 1
            self._journal.seldom(
                "callback_refused", decode=str(attempt.instance.address),
                why="its remote_host is another machine; if it is another interface: --no-check-remote-host",
            )  # fmt: skip
            return None
        return attempt


async def _late(attempt: Attempt) -> Reply:
    assert attempt.task is not None
    if await asyncio.shield(attempt.task):
        return _OK
    return _error(502, "the prefill failed", "upstream_error")


def _error(status: int, message: str, kind: str) -> Reply:
    return json_reply(status, error_value("openai", status, message, kind))
