"""Requests that are answered by engines: generations through prefill and decode, everything else by any instance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from stormc_proxy.edge.admission import Admission
from stormc_proxy.edge.client_keys import InboundKeys
from stormc_proxy.edge.connection import Request
from stormc_proxy.edge.relay import Relay, client_id, forwarded
from stormc_proxy.flow.any_instance import ask_any_instance
from stormc_proxy.flow.api import ANSWER_TOKENS, Api, check, flag
from stormc_proxy.flow.body import Body, BodyError, read_body
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.fanout import CONCURRENT, Merge, Plan, plan_of
from stormc_proxy.flow.generation import Generation
from stormc_proxy.flow.refusal import Broken, Refusal, unavailable
from stormc_proxy.flow.router import Router
from stormc_proxy.http.content_coding import CODINGS, NotDecoded, TooLong, decoded
from stormc_proxy.outcomes import Outcome
from stormc_proxy.random_ids import new_id
from stormc_proxy.telemetry.journal import Journal, Record
from stormc_proxy.telemetry.metrics import Metrics
from stormc_proxy.telemetry.tracing import Span, Tracer

_Running = Coroutine[Any, Any, bool]
_Work = Callable[[], Awaitable["Answer | None"]]
"""Begins the work, and is awaited for the answer; None if that was streamed."""


class EngineRequests:
    """Admits requests, has engines answer them, and notes how they ended."""

    def __init__(
        self, router: Router, metrics: Metrics, journal: Journal, admission: Admission, keys: InboundKeys,
        tracer: Tracer | None = None,
    ) -> None:  # fmt: skip
        """`admission` is shared with the connections, which count the bytes of bodies."""
        self._tracer = tracer
        self._router, self._metrics, self._journal, self._keys = router, metrics, journal, keys
        self.admission = admission
        self.draining = False
        self.idle = asyncio.Event()
        self.idle.set()

    def generate(self, api: Api, request: Request) -> _Running:
        """A generation; the coroutine says whether the connection takes another request."""
        record = self._record(request, api.path)
        relay = Relay(request, record, self.draining, api.dialect)
        return self._run(partial(self._generate, request, api, record, relay), request, record, relay, api.dialect)

    def forward(self, path: str, request: Request) -> _Running:
        """A request that any one instance can answer; as `generate` otherwise."""
        record = self._record(request, path)
        relay = Relay(request, record, self.draining)
        return self._run(partial(self._forward, request, path, record), request, record, relay, "openai")

    def _record(self, request: Request, path: str) -> Record:
        head = request.head
        record = Record(path, client_id(head) if b"x-request-id" in head.values else new_id())
        if self._tracer is not None:
            record.span = self._tracer.begin(f"{head.method} {path}", head.get(b"traceparent"))
        return record

    async def _run(self, work: _Work, request: Request, record: Record, relay: Relay, dialect: str) -> bool:
        metrics, admitted = self._metrics, False
        try:
            if self._keys.needed and not self._keys.allows(request.head):
                raise Refusal.own(Outcome.UNAUTHORIZED, "a valid API key is needed")
            if self.draining:
                raise Refusal.own(Outcome.DRAINING, "the proxy is stopping", 1)
            admitted = self.admission.take()
            if not admitted:
                raise Refusal.own(Outcome.TOO_MANY, "too many requests at a time", 1)
            if not metrics.active:
                self.idle.clear()
            metrics.active += 1
            answer = await work()
            if answer is None:
                return relay.end()
            usage = ANSWER_TOKENS.search(answer.body, max(0, len(answer.body) - 2048))
            record.tokens = int(usage.group(1)) if usage else 0
            return relay.answer(answer.head, answer.body)
        except Refusal as refusal:
            record.ended(refusal.outcome, refusal.end)
            head, body = refusal.answer(dialect)
            if relay.status:
                return relay.break_off(head.status, refusal.text, refusal.kind)
            return relay.answer(head, body)
        except Broken as broken:
            record.ended(broken.outcome, "broken")
            return relay.break_off(502, str(broken))
        except asyncio.CancelledError:
            record.ended(Outcome.CLIENT_GONE)
            record.status = record.status or 499
            raise
        except Exception as error:
            self._router.loop.call_exception_handler({"message": "a handler failed", "exception": error})
            record.ended(Outcome.BUG)
            head, body = Refusal.own(Outcome.BUG).answer(dialect)
            return relay.break_off(head.status, Outcome.BUG.text) if relay.status else relay.answer(head, body)
        finally:
            self._finish(record, admitted)

    def _finish(self, record: Record, admitted: bool) -> None:
        metrics = self._metrics
        if admitted:
            self.admission.give()
            metrics.active -= 1
            if not metrics.active:
                self.idle.set()
        seconds = time.perf_counter() - record.began
        metrics.finished_request(record, seconds)
        if record.span is not None:
            end_span(record.span, record)
        if self._router.settings.access_log:
            self._journal.write(record.line(seconds))

    def _generate(self, request: Request, api: Api, record: Record, relay: Relay) -> Awaitable[Answer | None]:
        """Raises Refusal for what is no request to an engine."""
        settings = self._router.settings
        packed = b"content-encoding" in request.head.values
        body = _read_checked(plain_body(request, settings.max_body_bytes) if packed else request.body, api)
        request.body = b""  # the text is the body's now
        stream, model = body.values.get("stream"), body.values.get("model")
        record.stream = bool(stream) and flag(stream)
        record.model = model[:128] if isinstance(model, str) else ""
        if record.stream:
            relay.beat()
        headers = forwarded(request.head.passed, settings.api_key, not self._keys.needed, record.span is not None)
        plan = plan_of(body, api) if api.children else None
        if plan is not None:
            return self._merge(plan, api, headers, record, relay)
        output = relay if record.stream else None
        return Generation(self._router, api, body, headers, record, output).answer()

    async def _merge(self, plan: Plan, api: Api, headers: bytes, record: Record, relay: Relay) -> Answer | None:
        """Several answers. Those that run at a time count as requests, as far as there is room for them."""
        for role, pool in self._router.pools.items():
            if not pool.available() and (role == "decode" or not self._router.settings.fallback):
                raise unavailable(role)
        more = min(CONCURRENT, plan.size) - 1
        while more and not self.admission.take(more):
            more //= 2
        try:
            merge = Merge(self._router, api, plan, headers, record, relay)
            return await merge.answer(record.stream, more + 1)
        finally:
            self.admission.give(more)

    async def _forward(self, request: Request, path: str, record: Record) -> Answer:
        head, settings = request.head, self._router.settings
        target = f"{path}?{head.query}" if head.query else path
        headers = forwarded(head.passed, settings.api_key, not self._keys.needed, record.span is not None)
        headers += record.span.header if record.span is not None else b""
        body = plain_body(request, settings.max_body_bytes)
        return await ask_any_instance(
            self._router, "GET" if head.method == "HEAD" else head.method, target, headers, body, record
        )


def end_span(span: Span, record: Record) -> None:
    """End a request's span with what is known of it."""
    attributes: dict[str, str | int] = {
        "url.path": record.path, "http.response.status_code": record.status, "gen_ai.request.model": record.model,
        "gen_ai.usage.output_tokens": record.tokens, "stormc.end": record.how, "stormc.attempts": record.attempts,
        "stormc.prefill": record.prefill, "stormc.decode": record.decode,
    }  # fmt: skip
    span.attributes.update({key: value for key, value in attributes.items() if value != ""})
    expected_end = record.outcome in (Outcome.COMPLETE, Outcome.CLIENT_GONE)
    span.end("" if expected_end or (record.status < 500 and record.status != 200) else record.how)


def plain_body(request: Request, limit: int) -> bytes:
    """A request's body without content coding. Raises Refusal."""
    coding = request.head.get(b"content-encoding").lower()
    if coding in ("", "identity"):
        return request.body
    if coding not in CODINGS:
        raise Refusal(Outcome.BAD_REQUEST, 415, "the body's encoding is neither gzip nor deflate")
    try:
        body = decoded(request.body, coding, limit)
        if not request.connection.holds(len(body)):
            raise Refusal.own(Outcome.TOO_MANY, "too many bytes of requests at a time", 1)
        return body
    except TooLong:
        raise Refusal.own(Outcome.TOO_LARGE, f"the body is larger than {limit} bytes") from None
    except NotDecoded:
        raise Refusal.own(Outcome.BAD_REQUEST, "the body is not encoded as its headers say") from None


def _read_checked(raw: bytes, api: Api) -> Body:
    """The body, if it can be routed. Raises Refusal."""
    try:
        body = read_body(raw)
        check(api, body)
    except BodyError as error:
        raise Refusal.own(Outcome.BAD_REQUEST, str(error)) from None
    return body
