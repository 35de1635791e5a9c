"""A KV cache that waits at a prefill instance, and the farewell that lets prefill free it when nobody needs it.

Prefill holds its blocks until a decode instance has fetched them; otherwise for minutes (vLLM's
VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT, 480 s). So when decode refuses, fails or the client leaves, some decode instance is
asked for one token of the same prompt: the least that fetches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stormc_proxy.fleet.pool import Lease, decode_load
from stormc_proxy.flow.body import Body, size_of
from stormc_proxy.flow.exchange import exchange
from stormc_proxy.flow.prefill import Reported
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.http.connection import UpstreamError
from stormc_proxy.settings import Address
from stormc_proxy.transitions import KEPT

FAREWELL_SECONDS = 30.0
FAREWELLS = 3
"""Decode instances that are asked."""
_PROMPT = (
    "model",
    "prompt",
    "prompt_embeds",
    "messages",
    "system",
    "input",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "chat_template_kwargs",
    "cache_salt",
    "priority",
)
"""Members that say what the prompt is; a farewell needs no others, which an engine may refuse."""


class Kept:
    """One of them."""

    __slots__ = ("_body", "_lease", "_request", "cached", "key", "parameters", "state")

    def __init__(self, request: ClientRequest, body: Body, lease: Lease, key: str, said: Reported) -> None:
        """`lease` is on the prefill instance: it is under load as long as it holds the KV cache."""
        self._request, self._body, self._lease, self.key = request, body, lease, key
        self.parameters, self.cached = said.parameters, said.cached
        self.state = KEPT.start

    def step(self, event: str) -> None:
        """What happened, in the words of transitions.KEPT."""
        self.state = KEPT.step(self.state, event)

    def fetched(self) -> None:
        """Decode speaks: it has the KV cache, and prefill has freed it."""
        if self.state == "offered":
            self.step("decode speaks")
            self._lease.release()

    def drop(self) -> None:
        """Nobody was asked to fetch it, and nobody will be for an answer."""
        self.settle("nobody needs it", ())

    def settle(self, event: str, tried: Iterable[Address]) -> None:
        """Have it freed, if it is not; decode instances of `tried` are asked last."""
        if self.state == "fetched":
            return
        self.step(event)
        self._lease.release()
        if self.parameters:
            self._request.router.spawn(self._farewell(set(tried)))

    async def _farewell(self, avoid: set[Address]) -> None:
        router, request = self._request.router, self._request
        router.farewells += 1
        changes: dict[str, str | None] = {key: None for key in self._body.values if key not in _PROMPT}
        limits = {request.api.limits[0]: "1", **({"min_tokens": "0"} if request.api.floor else {})}
        raw = self._body.pieces({**changes, "kv_transfer_params": self.parameters, **limits})
        asked = set[Address]()
        for _ in range(FAREWELLS):
            lease = router.decode.pick(decode_load(size_of(raw)), asked | avoid)
            if lease is None:
                lease, avoid = router.decode.pick(decode_load(size_of(raw)), asked), set()
            if lease is None:
                break
            asked.add(lease.instance.address)
            try:
                told = exchange(
                    router.upstream, lease.instance, request.line, request.fields, raw, self.key, router.settings
                )
                answer = await asyncio.wait_for(told, FAREWELL_SECONDS)
            except (UpstreamError, asyncio.TimeoutError):
                continue
            finally:
                lease.release()
            if answer.head.status == 200:
                self.step("decode fetches it")
                return
        router.expired += 1
        self.step("no decode answers")
