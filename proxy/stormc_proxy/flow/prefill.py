"""The prefill of one prompt: at the least loaded instance, and at another one when that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.prompt_keys import Prompt
from stormc_proxy.flow.api import prefill_changes
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body, dumped, loaded
from stormc_proxy.flow.exchange import exchange
from stormc_proxy.flow.refusal import Refusal, Unanswered, blame, unavailable
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.request_writer import Pieces
from stormc_proxy.outcomes import Outcome, error_in, of_status
from stormc_proxy.settings import Address
from stormc_proxy.telemetry.tracing import Span


class PrefillReport(NamedTuple):
    """What prefill's answer says."""

    parameters: str
    """The connector's, as JSON; empty if there are none."""
    cached: int | None
    """Prompt tokens that were in prefill's cache; None when it does not say."""
    prompt: int | None
    """Tokens of the prompt; None when it does not say."""


Prefill = tuple[Lease, PrefillReport]
"""A prefill that succeeded; the caller releases the lease."""


async def prefill(request: ClientRequest, body: Body, key: str, parameters: str, attempt: Attempt | None) -> Prefill:
    """Prefill's answer. Instances that fail are replaced until none is left or the attempts are used up.

    The client notices nothing. None is replaced when `attempt` at decode is served: blocks that decode has given to
    others would be written. Raises Refusal; its `sent` is false when no instance can have seen the request.
    """
    router, settings = request.router, request.router.settings
    raw = body.pieces(prefill_changes(request.api, body, key, parameters))
    prompt = router.affinity.prompt(body, request.fields)
    tried: set[Address] = set()
    last, doubted, sent = None, None, False
    for number in range(max(1, settings.max_retries)):
        if last is not None:
            if attempt is not None and attempt.served:
                break
            if not router.prefill.other(tried) or not router.budget.allows(router.loop.time()):
                break
            router.counts.retries += 1
            await asyncio.sleep(settings.retry_delay * 2 ** (number - 1))
        lease = router.affinity.pick(router.prefill, prompt, settings.mode, tried)
        if lease is None:
            break
        tried.add(lease.instance.address)
        request.record.prefill = lease.instance.name
        try:
            value = await _ask(request, lease, raw, key)
            if doubted is not None:
                blame(router.prefill, doubted)
            return _note_report(request, prompt, lease, value)
        except Unanswered as error:
            last, sent = error, sent or error.sent
            if error.doubtful:
                if doubted is not None:
                    break
                doubted = error
    final = doubted or last
    if final is None:
        raise unavailable("prefill")
    final.refusal.sent = sent
    raise final.refusal


def _note_report(request: ClientRequest, prompt: Prompt, lease: Lease, value: Mapping[str, Any]) -> Prefill:
    """What the answer says, compared with what was expected."""
    try:
        report = report_of(value)
        request.record.cached = request.router.affinity.compared(prompt, lease, report.prompt, report.cached)
        return lease, report
    except Exception:
        lease.release()
        raise


def _ask(request: ClientRequest, lease: Lease, raw: Pieces, key: str) -> Awaitable[Mapping[str, Any]]:
    """Prefill's answer at one instance; the lease is released unless it succeeds. Raises Unanswered, Refusal."""
    leg = request.leg("prefill", lease.instance) if request.record.span is not None else None
    if leg is None:
        return _ask_untraced(request, lease, raw, key, request.fields)
    return _ask_traced(leg, request, lease, raw, key)


async def _ask_traced(leg: Span, request: ClientRequest, lease: Lease, raw: Pieces, key: str) -> Mapping[str, Any]:
    with leg:
        return await _ask_untraced(request, lease, raw, key, request.fields + leg.header)


async def _ask_untraced(
    request: ClientRequest, lease: Lease, raw: Pieces, key: str, fields: bytes
) -> Mapping[str, Any]:
    pool, settings = request.router.prefill, request.router.settings
    instance: Instance = lease.instance
    began, succeeded = time.perf_counter(), False
    try:
        answer = await exchange(request.router.upstream, instance, request.line, fields, raw, key, settings)
        outcome = of_status(answer.head.status)
        value = _answer_object(answer.body) if outcome is Outcome.COMPLETE else None
        if outcome is Outcome.COMPLETE and value is None:
            outcome = Outcome.MALFORMED
        if value is not None:
            pool.succeeded(instance)
            request.record.prefill_seconds = time.perf_counter() - began
            succeeded = True
            return value
        refusal = Refusal.of("prefill", answer.head, answer.body, outcome)
        if outcome.counts:
            pool.failed(instance, refusal.end)
        elif not outcome.elsewhere:
            pool.succeeded(instance)
            raise refusal
        raise Unanswered(refusal, instance)
    except UpstreamError as error:
        if error.outcome.counts:
            pool.failed(instance, error.outcome.text)
        raise Unanswered(Refusal.failed("prefill", error), instance, error.sent) from None
    finally:
        if not succeeded:
            lease.release()


def _answer_object(content: bytes) -> dict[str, Any] | None:
    """Prefill's answer, if it is an object and no error; otherwise it has pushed and kept nothing."""
    try:
        value = loaded(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and error_in(value) is None else None


def report_of(value: Mapping[str, Any]) -> PrefillReport:
    """What prefill's answer says; None and empty for what it leaves out."""
    parameters, usage = value.get("kv_transfer_params"), value.get("usage")
    details = prompt = None
    if isinstance(usage, dict):
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return PrefillReport(
        dumped(parameters) if parameters else "",
        cached if isinstance(cached, int) else None,
        prompt if isinstance(prompt, int) else None,
    )
