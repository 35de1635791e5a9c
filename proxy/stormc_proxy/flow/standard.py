"""Standard (MooncakeConnectorV1, NIXL): prefill first, keeping its KV cache; then decode, which fetches it.

    client ──▶ prefill: the request for one token; it answers where its blocks are
               decode: the request, with what prefill said; it fetches them, and prefill frees them
    client ◀── decode: the answer

The wire protocol is that of vllm-ascend's load_balance_proxy_server_example.py. What prefill answers is passed on and
never interpreted. Only a decode instance can have prefill free its blocks; flow/kept.py sees to it that one does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine
from typing import Any

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.flow import decode
from stormc_proxy.flow.api import asked
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.cached import with_cached
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.kept import Kept
from stormc_proxy.flow.prefill import prefill
from stormc_proxy.flow.refusal import Refusal, Unanswered, unavailable
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.flow.shelter import Sheltered
from stormc_proxy.settings import Address
from stormc_proxy.telemetry.journal import new_id

ABANDON_SECONDS = 0.25
"""So long a client's leaving waits for an engine that is about to be done."""
_OFFER = json.dumps(
    {"do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
     "remote_host": None, "remote_port": None}
)  # fmt: skip


class Standard:
    """All attempts for one body. A KV cache that decode was not reached with is offered to the next."""

    def __init__(self, request: ClientRequest, body: Body) -> None:
        """Nothing is sent yet."""
        self._request, self._body = request, body
        self._kept: Kept | None = None

    async def ask(self, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        """One attempt. Raises Unanswered, Refusal, Broken."""
        request = self._request
        if not request.router.decode.available():
            raise unavailable("decode")
        kept = self._kept = self._kept or await self._prefill_first()
        cached = kept.cached
        if request.stream is not None:
            request.stream.tell_prompt(kept.prompt, cached, add=True)
        lease = decode.pick(request, self._body, avoid, tried)
        answer = await self._fetched(kept, lease, tried)
        return with_cached(answer, cached, add=True), lease.instance

    def close(self) -> None:
        """Nobody needs a KV cache that is still kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.drop()

    async def _fetched(self, kept: Kept, lease: Lease, tried: set[Address]) -> Answer | None:
        """Decode's answer; what became of the KV cache is settled whatever happens."""
        attempt = Attempt(lease.instance, kept.key)
        kept.step("decode is asked")

        def first() -> None:
            attempt.speaks()
            if self._request.stream is not None:  # a whole answer may still be cut
                kept.fetched()

        answered, lingers, ended = False, False, "fails"
        try:
            raw = self._body.pieces(asked(self._request.api, kept.key, kept.parameters))
            answer = await decode.ask(self._request, attempt, raw, first)
            kept.fetched()
            answered, ended = True, "ends"
            return answer
        except asyncio.CancelledError:
            ended, lingers = "is left", self._left(attempt, lease, kept, tried)
            raise
        except Unanswered as error:
            if not error.sent and not attempt.served:
                kept.step("decode was not reached")
            raise
        except Refusal:
            kept.settle("decode refuses", tried)
            raise
        finally:
            if kept.state == "offered" and not lingers:  # also when a stream cannot go on here that began elsewhere
                kept.settle("decode fails", tried)
            if kept.state != "held":
                self._kept = None
            if not lingers:
                lease.release()
                attempt.close(answered, ended)

    def _left(self, attempt: Attempt, lease: Lease, kept: Kept, tried: set[Address]) -> bool:
        """The client left; whether decode's connection is kept for a moment, so that it learns of the request."""
        if attempt.served:
            kept.settle("client leaves", tried)
        elif attempt.connection is None:
            kept.step("decode was not reached")
        else:
            self._kept = None
            self._request.router.spawn(_linger(attempt, lease, kept, self._request))
            return True
        return False

    def _prefill_first(self) -> Awaitable[Kept]:
        """The KV cache at prefill. A client that leaves ends the prefill, unless it is about to be done."""
        key = self._request.record.key = new_id()
        return Sheltered(self._fetchable(key), self._abandoned)

    def _abandoned(self, rest: Coroutine[Any, Any, Kept]) -> None:
        router = self._request.router
        router.spawn(_abandon(router.spawn(rest)))

    async def _fetchable(self, key: str) -> Kept:
        request = self._request
        lease, said = await prefill(request, self._body, key, _OFFER, None)
        if not said.parameters:
            request.router.unoffered += 1  # decode will compute the prompt once more
        return Kept(request, self._body, lease, key, said)


async def _linger(attempt: Attempt, lease: Lease, kept: Kept, request: ClientRequest) -> None:
    """Close decode's connection when it has begun to answer, or after a moment; then another one says farewell.

    Closed at once, the engine may never learn of the request, and prefill would keep the KV cache for minutes.
    """
    loop = request.router.loop
    try:
        end = loop.time() + ABANDON_SECONDS
        while not attempt.served and loop.time() < end:
            await asyncio.sleep(ABANDON_SECONDS / 10)
    finally:
        lease.release()
        attempt.close(False, "is left")
        if kept.state == "offered":
            kept.settle("client leaves", {lease.instance.address})


async def _abandon(task: asyncio.Task[Kept]) -> None:
    """End a prefill in flight; one that ends in time holds a KV cache that decode has to fetch."""
    await asyncio.wait({task}, timeout=ABANDON_SECONDS)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        task.result().drop()
