"""Standard (MooncakeConnectorV1, NIXL): prefill first, keeping its KV cache; then decode, which fetches it.

    client ──▶ prefill: the request for one token; it answers where its blocks are
               decode: the request, with what prefill said; it fetches them, and prefill frees them
    client ◀── decode: the answer

The wire protocol is that of vllm-ascend's load_balance_proxy_server_example.py. What prefill answers is passed on and
never interpreted. Only a decode instance can have prefill free its blocks; flow/kv_cache.py sees to it that one does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine
from typing import Any

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.flow import decode
from stormc_proxy.flow.api import decode_changes
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.cached_tokens import answer_with_cached
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.kv_cache import KvCache
from stormc_proxy.flow.prefill import prefill
from stormc_proxy.flow.refusal import Refusal, Unanswered, unavailable
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.flow.shielded import Shielded
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import Address

ABANDON_SECONDS = 0.25
"""When a client leaves, an engine that is about to be done gets this time to end."""
_OFFER = json.dumps(
    {"do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
     "remote_host": None, "remote_port": None}
)  # fmt: skip


class Standard:
    """The protocol in which decode fetches what prefill keeps; all attempts for one body."""

    def __init__(self, request: ClientRequest, body: Body) -> None:
        """Sends nothing before `ask`."""
        self._request, self._body = request, body
        self._cache: KvCache | None = None

    async def ask(self, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        """One attempt. Raises Unanswered, Refusal, Broken."""
        request = self._request
        if not request.router.decode.available():
            raise unavailable("decode")
        cache = self._cache = self._cache or await self._prefill_first()
        cached = cache.cached
        if request.stream is not None:
            request.stream.tell_prompt(cache.prompt, cached, add=True)
        lease = decode.pick(request, self._body, avoid, tried)
        answer = await self._ask_decode(cache, lease, tried)
        return answer_with_cached(answer, cached, add=True), lease.instance

    def close(self) -> None:
        """A KV cache that no decode instance was asked to fetch is freed."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.drop()

    async def _ask_decode(self, cache: KvCache, lease: Lease, tried: set[Address]) -> Answer | None:
        """Decode's answer; what became of the KV cache is settled whatever happens."""
        attempt = Attempt(lease.instance, cache.key)
        cache.step("decode is asked")

        def first() -> None:
            attempt.speaks()
            if self._request.stream is not None:  # a whole answer may still be cut
                cache.fetched()

        answered, lingers, how_it_ended = False, False, "fails"
        try:
            raw = self._body.pieces(decode_changes(self._request.api, cache.key, cache.parameters))
            answer = await decode.ask(self._request, attempt, raw, first)
            cache.fetched()
            answered, how_it_ended = True, "ends"
            return answer
        except asyncio.CancelledError:
            how_it_ended, lingers = "is left", self._client_left(attempt, lease, cache, tried)
            raise
        except Unanswered as error:
            if not error.sent and not attempt.served:
                cache.step("decode was not reached")
            raise
        except Refusal:
            cache.settle("decode refuses", tried)
            raise
        finally:
            if cache.state == "offered" and not lingers:  # also when a stream cannot go on here that began elsewhere
                cache.settle("decode fails", tried)
            if cache.state != "held":
                self._cache = None
            if not lingers:
                lease.release()
                attempt.close(answered, how_it_ended)

    def _client_left(self, attempt: Attempt, lease: Lease, cache: KvCache, tried: set[Address]) -> bool:
        """The client left; whether decode's connection is kept for a moment, so that it learns of the request."""
        if attempt.served:
            cache.settle("client leaves", tried)
        elif attempt.connection is None:
            cache.step("decode was not reached")
        else:
            self._cache = None
            self._request.router.spawn(_linger(attempt, lease, cache, self._request))
            return True
        return False

    def _prefill_first(self) -> Awaitable[KvCache]:
        """The KV cache at prefill. A client that leaves ends the prefill, unless it is about to be done."""
        key = self._request.record.key = new_id()
        return Shielded(self._ask_prefill(key), self._abandon_prefill)

    def _abandon_prefill(self, rest: Coroutine[Any, Any, KvCache]) -> None:
        router = self._request.router
        router.spawn(_abandon(router.spawn(rest)))

    async def _ask_prefill(self, key: str) -> KvCache:
        request = self._request
        lease, report = await prefill(request, self._body, key, _OFFER, None)
        if not report.parameters:
            request.router.counts.unoffered += 1  # decode will compute the prompt once more
        return KvCache(request, self._body, lease, key, report)


async def _linger(attempt: Attempt, lease: Lease, cache: KvCache, request: ClientRequest) -> None:
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
        if cache.state == "offered":
            cache.settle("client leaves", {lease.instance.address})


async def _abandon(task: asyncio.Task[KvCache]) -> None:
    """End a prefill in flight; one that ends in time holds a KV cache that decode has to fetch."""
    await asyncio.wait({task}, timeout=ABANDON_SECONDS)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        task.result().drop()
