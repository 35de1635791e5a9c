"""Requests that any healthy instance can answer: embeddings, scores, tokens, the list of models."""

from __future__ import annotations

import asyncio

from stormc_proxy.fleet.instance import decode_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.flow.exchange import Answer, exchange
from stormc_proxy.flow.refusal import Refusal, Unanswered, unavailable
from stormc_proxy.flow.router import Router
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.outcomes import Outcome, of_status
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import Address
from stormc_proxy.telemetry.journal import Record

GET_SECONDS = 5.0
"""Time limit for what an engine knows without computing."""


async def ask_any_instance(
    router: Router, method: str, target: str, fields: bytes, body: bytes, record: Record
) -> Answer:
    """The first answer that is one, of decode instances before those of prefill.

    An engine need not have every path, so nobody is blamed for a refusal; a second opinion is asked for. What costs no
    computing (GET) is asked of everybody, and has to come soon. Raises Refusal.
    """
    asking, tried = method == "GET", set[Address]()
    line = f"{method} {target} HTTP/1.1\r\n".encode()
    last: Refusal | None = None
    doubted: Refusal | None = None
    while (lease := _pick(router, len(body), tried)) is not None:
        if last is not None and not asking and not router.budget.allows(router.loop.time()):
            lease.release()
            break
        tried.add(lease.instance.address)
        setattr(record, lease.instance.role, lease.instance.name)
        record.attempts += 1
        try:
            return await _ask_instance(router, lease, line, fields, body, GET_SECONDS if asking else 0.0)
        except Unanswered as error:
            last = error.refusal
            if error.doubtful:
                if doubted is not None:
                    break
                doubted = last
        if not asking and len(tried) >= max(1, router.settings.max_retries):
            break
    if asking and doubted is None:
        raise Refusal.own(Outcome.NO_DECODE, "no instance answers")
    raise doubted or last or unavailable("decode")


async def _ask_instance(
    router: Router, lease: Lease, line: bytes, fields: bytes, body: bytes, seconds: float
) -> Answer:  # fmt: skip
    """One instance's answer. Raises Unanswered, Refusal."""
    instance = lease.instance
    pool = router.pools[instance.role]
    try:
        exchanged = exchange(router.upstream, instance, line, fields, body, new_id(), router.settings)
        answer = await (asyncio.wait_for(exchanged, seconds) if seconds else exchanged)
    except (UpstreamError, asyncio.TimeoutError) as raised:
        error = raised if isinstance(raised, UpstreamError) else UpstreamError(Outcome.NO_ANSWER)
        if error.outcome.counts:
            pool.failed(instance, error.outcome.text)
        raise Unanswered(Refusal.failed(instance.role, error), instance, error.sent) from None
    finally:
        lease.release()
    outcome = of_status(answer.head.status)
    if outcome is Outcome.COMPLETE or answer.head.status in (201, 202, 204):
        pool.succeeded(instance)
        return answer
    refusal = Refusal.of(instance.role, answer.head, answer.body, outcome)
    if outcome.counts:
        pool.failed(instance, refusal.end)
    raise Unanswered(refusal, instance) if outcome.elsewhere else refusal


def _pick(router: Router, size: int, tried: set[Address]) -> Lease | None:
    return router.decode.pick(decode_load(size), tried) or router.prefill.pick(decode_load(size), tried)
