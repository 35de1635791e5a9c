"""A KV cache that waits at a prefill instance, and the farewell that lets prefill free it when nobody needs it.

Prefill holds its blocks until a decode instance has fetched them; otherwise for minutes (vLLM's
VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT, 480 s). So when decode refuses, fails or the client leaves, some decode instance is
asked for one token of the same prompt: the least that fetches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stormc_proxy.fleet.instance import decode_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.flow.body import Body, size_of
from stormc_proxy.flow.exchange import exchange
from stormc_proxy.flow.prefill import PrefillReport
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.settings import Address
from stormc_proxy.transitions import KV_CACHE

FAREWELL_SECONDS = 30.0
FAREWELLS = 3
"""Decode instances that are asked, one after the other, to fetch a KV cache."""
LATE_SECONDS = (1.0, 5.0, 20.0)
"""Pauses after which they are asked again, when none of them took it."""
LATE_FAREWELLS, LATE_BYTES = 256, 1024 * 1024
"""KV caches that may wait for these pauses at a time, and the size of their prompts."""
_ABOUT_THE_PROMPT = (
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
"""Members that say what the prompt is; a farewell needs no others."""
_ABOUT_THE_ANSWER = (
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "min_tokens",
    "n",
    "best_of",
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "tools",
    "tool_choice",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "logit_bias",
    "stop",
    "stop_token_ids",
    "echo",
    "use_beam_search",
)
"""Members about the answer, which a farewell leaves out."""


class KvCache:
    """The KV cache of one prompt at the prefill instance that computed it, until it is fetched or expires."""

    __slots__ = ("_body", "_lease", "_request", "cached", "key", "parameters", "prompt", "state")

    def __init__(self, request: ClientRequest, body: Body, lease: Lease, key: str, report: PrefillReport) -> None:
        """`lease` is on the prefill instance: it is under load as long as it holds the KV cache."""
        self._request, self._body, self._lease, self.key = request, body, lease, key
        self.parameters, self.cached, self.prompt = report
        self.state = KV_CACHE.start

    def step(self, event: str) -> None:
        """Take the next state; `event` is one of transitions.KV_CACHE."""
        self.state = KV_CACHE[self.state, event]

    def fetched(self) -> None:
        """Decode speaks: it has the KV cache, and prefill has freed it."""
        if self.state == "offered":
            self.step("decode speaks")
            self._lease.release()

    def drop(self) -> None:
        """Have it freed: decode was not asked, and will not be."""
        self.settle("nobody needs it", ())

    def settle(self, event: str, tried: Iterable[Address]) -> None:
        """Have it freed by some decode instance, if it is not; those of `tried` are asked last."""
        if self.state == "fetched":
            return
        self.step(event)
        self._lease.release()
        if self.parameters:
            self._request.router.spawn(self._farewell(set(tried)))

    def _fetch_changes(self, bare: bool) -> dict[str, str | None]:
        """What makes of the request one for the KV cache alone; `bare`: of its other members only the prompt is left.

        A member that decode refused may be any, and one that an engine needs too.
        """
        api, values = self._request.api, self._body.values
        removed = [key for key in values if (key not in _ABOUT_THE_PROMPT if bare else key in _ABOUT_THE_ANSWER)]
        changes: dict[str, str | None] = dict.fromkeys(removed)
        changes.update({"kv_transfer_params": self.parameters, "stream": "false", api.limits[0]: "1"})
        if api.floor:
            changes["min_tokens"] = "0"
        return changes

    async def _farewell(self, avoid: set[Address]) -> None:
        router = self._request.router
        router.counts.farewells += 1
        if await self._have_fetched(avoid):
            self.step("decode fetches it")
        elif self._body.length <= LATE_BYTES and len(router.late) < LATE_FAREWELLS:
            router.spawn(self._retry_later(), router.late)
        else:
            self._expire()

    async def _retry_later(self) -> None:
        """Decode instances are too busy for seconds, prefill holds its blocks for minutes."""
        for pause in LATE_SECONDS:
            await asyncio.sleep(pause)
            if await self._have_fetched(set()):
                self.step("decode fetches it")
                return
        self._expire()

    def _expire(self) -> None:
        self._request.router.counts.expired += 1
        self.step("no decode answers")

    async def _have_fetched(self, avoid: set[Address]) -> bool:
        """Whether a decode instance fetched it; those of `avoid` are asked last."""
        router, request = self._request.router, self._request
        tried = set[Address]()
        for number in range(FAREWELLS):
            raw = self._body.pieces(self._fetch_changes(bare=number > 0))
            lease = router.decode.pick(decode_load(size_of(raw)), tried | avoid)
            if lease is None:
                lease, avoid = router.decode.pick(decode_load(size_of(raw)), tried), set()
            if lease is None:
                return False
            tried.add(lease.instance.address)
            try:
                exchanged = exchange(
                    router.upstream, lease.instance, request.line, request.fields, raw, self.key, router.settings
                )
                answer = await asyncio.wait_for(exchanged, FAREWELL_SECONDS)
            except (UpstreamError, asyncio.TimeoutError):
                continue
            finally:
                lease.release()
            if answer.head.status == 200:
                return True
        return False
