"""Who is tried next, and when it is enough: the same for both protocols."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.decode_alone import DecodeAlone
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.layerwise import Layerwise
from stormc_proxy.flow.refusal import Refusal, Unanswered, blame
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.flow.router import Router
from stormc_proxy.flow.standard import Standard
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address


class KvProtocol(Protocol):
    """How proxy, prefill and decode work together on one body; each KV connector has its protocol."""

    async def ask(self, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        """One attempt at an instance not in `avoid`, which is added to `tried`. Raises Unanswered, Refusal, Broken."""

    def close(self) -> None:
        """No further attempt follows: let go of what is kept for one."""


KV_PROTOCOLS: dict[str, type[Layerwise] | type[Standard]] = {"layerwise": Layerwise, "standard": Standard}
_NONE: frozenset[Address] = frozenset()
_NOBODY = (Outcome.NO_PREFILL, Outcome.NO_DECODE)


async def attempts(request: ClientRequest, body: Body, avoid: set[Address]) -> tuple[Answer | None, Instance]:
    """The first attempt's answer that is one, and who gave it; instances of `avoid` are asked when no others are left.

    An instance that failed this request is not asked again. One that refused what another may take is the reason for
    a second opinion, and to blame when that one answers. Raises Refusal, Broken.
    """
    router, settings = request.router, request.router.settings
    tried, last, doubted, number = set(_NONE), None, None, 0
    protocol: KvProtocol = KV_PROTOCOLS[settings.mode](request, body)
    try:
        while number < max(1, settings.max_retries):
            if last is not None and not await _once_more(request, tried, number):
                break
            if avoid and not router.decode.other(tried | avoid):
                avoid = set()
            try:
                answered = await protocol.ask(tried | avoid, tried)
            except Unanswered as error:
                last, number = error, number + 1
                if error.doubtful:
                    if doubted is not None:
                        break
                    doubted = error
            except Refusal as refusal:
                if _prefill_is_gone(router, refusal) and settings.fallback and not isinstance(protocol, DecodeAlone):
                    protocol.close()
                    protocol = DecodeAlone(request, body)
                    tried.clear()
                elif last is not None and refusal.outcome in _NOBODY:
                    break  # nobody is left to try: what the last one said tells more
                else:
                    raise
            else:
                blame(router.decode, doubted)
                return answered
        final = doubted or last
        assert final is not None
        raise final.refusal
    finally:
        protocol.close()


async def _once_more(request: ClientRequest, tried: set[Address], number: int) -> bool:
    """Whether there is an instance left to try, and a retry to try it with; after the pause before it."""
    router = request.router
    if not router.decode.other(tried) or not router.budget.allows(router.loop.time()):
        return False
    router.counts.retries += 1
    await asyncio.sleep(router.settings.retry_delay * 2 ** (number - 1))
    return True


def _prefill_is_gone(router: Router, refusal: Refusal) -> bool:
    """Whether no prefill instance is usable, or none could be reached.

    One that has seen the request and failed may have failed of it; only when all are isolated is it not the prompt.
    """
    if refusal.outcome is Outcome.NO_PREFILL:
        return True
    failed = refusal.role == "prefill" and refusal.outcome.elsewhere
    return failed and (not refusal.sent or not router.prefill.available())
