"""Decode's answer: streamed to the client, or whole; and what it means when it is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from stormc_proxy.fleet.instance import Instance, decode_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.exchange import Answer, error_status, tail
from stormc_proxy.flow.refusal import Broken, Refusal, Unanswered, unavailable
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.flow.stream import NoFirstEvent, Stream
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.request_writer import Pieces
from stormc_proxy.outcomes import Outcome, of_status
from stormc_proxy.settings import Address
from stormc_proxy.telemetry.tracing import Span

First = Callable[[], None]
"""Called when decode begins to answer."""


def pick(request: ClientRequest, body: Body, avoid: set[Address], tried: set[Address]) -> Lease:
    """A lease on a decode instance, noted as tried. Raises Refusal when there is none."""
    lease = request.router.decode.pick(decode_load(body.length), avoid)
    if lease is None:
        raise unavailable("decode")
    tried.add(lease.instance.address)
    request.record.decode = lease.instance.name
    request.record.attempts += 1
    return lease


def ask(request: ClientRequest, attempt: Attempt, raw: Pieces, first: First) -> Awaitable[Answer | None]:
    """Decode's answer; None if it went to the client's stream.

    Raises Unanswered while another instance may be tried, Refusal for an answer that is the client's, Broken when part
    of the answer was sent.
    """
    leg = request.leg("decode", attempt.instance) if request.record.span is not None else None
    if leg is None:
        return _ask_untraced(request, attempt, raw, first, request.fields)
    return _ask_traced(leg, request, attempt, raw, first)


async def _ask_traced(leg: Span, request: ClientRequest, attempt: Attempt, raw: Pieces, first: First) -> Answer | None:
    with leg:
        return await _ask_untraced(request, attempt, raw, first, request.fields + leg.header)


async def _ask_untraced(
    request: ClientRequest, attempt: Attempt, raw: Pieces, first: First, fields: bytes
) -> Answer | None:
    router, settings, instance = request.router, request.router.settings, attempt.instance
    headers = fields + tail(attempt.key, raw)
    try:
        connection, head = await router.upstream.open(
            instance, request.line, headers, raw, settings.response_timeout_seconds, attempt.taken
        )
        if request.stream is not None and head.status == 200:
            await _pump_stream(request, request.stream, attempt, connection, head, first)
            return None
        if head.status == 200:
            first()
        content = connection.content
        if content is None:
            content = await connection.collect(settings.stream_idle_timeout_seconds)
        connection.finish()
        attempt.connection = None
    except UpstreamError as error:
        raise _after_failure(request, attempt, error) from None
    if head.status != 200:
        raise _after_refusal(request, instance, head, content)
    _judge(request, attempt, head, content)
    return Answer(head, content)


def _judge(request: ClientRequest, attempt: Attempt, head: Head, content: bytes) -> None:
    """Raises what follows from a whole body of status 200 that is no answer."""
    status = error_status(content)
    if status:
        raise _after_refusal(request, attempt.instance, Head(status, b"", head.headers), content)
    if not _is_whole(head, content):
        raise _after_failure(request, attempt, UpstreamError(Outcome.MALFORMED))
    request.router.decode.succeeded(attempt.instance)


def _is_whole(head: Head, content: bytes) -> bool:
    """Whether content may be an answer: an object to its end, or events, if an engine took `stream` for true."""
    body = content.strip()
    is_object = body.startswith(b"{") and body.endswith(b"}")
    return is_object or (bool(body) and head.is_event_stream())


async def _pump_stream(
    request: ClientRequest, stream: Stream, attempt: Attempt, connection: Connection, head: Head, first: First
) -> None:
    """Raises UpstreamError, or Unanswered and Refusal for an error in place of the first event."""
    pool, died = request.router.decode, ""
    stream.begin(connection, head, first)
    try:
        await connection.pump(stream, request.router.settings.stream_idle_timeout_seconds)
    except UpstreamError as error:
        if stream.over:
            died = error.outcome.text
        elif stream.no_first_event is None:
            raise
    else:
        stream.flush()
        if _is_cut(request, stream, connection.unframed):
            raise UpstreamError(Outcome.CLOSED_EARLY)
    connection.finish()
    attempt.connection = None
    if stream.no_first_event is not None:
        raise _without_first_event(request, attempt.instance, head, stream.no_first_event)
    if stream.held is not None:
        _judge(request, attempt, head, stream.held if not request.started else b"")
        attempt.speaks()
        stream.whole(head)
    elif stream.failed:
        pool.failed(attempt.instance, Outcome.SERVER_ERROR.text)
        request.record.outcome = Outcome.SERVER_ERROR
    elif died:  # after its last event: the client has all of it
        pool.failed(attempt.instance, died)
    else:
        pool.succeeded(attempt.instance)


def _without_first_event(request: ClientRequest, instance: Instance, head: Head, refused: NoFirstEvent) -> Exception:
    """What follows from a stream without an event, or with an error in place of the first one."""
    if refused.status:
        others = [field for field in head.headers if field[0].lower() != b"content-type"]
        error_head = Head(refused.status, b"", [*others, (b"Content-Type", b"application/json")])
        return _after_refusal(request, instance, error_head, refused.body)
    request.router.decode.failed(instance, Outcome.EMPTY.text)
    if request.started:
        return Broken(f"decode instance: {Outcome.EMPTY.text}", Outcome.EMPTY, instance)
    refusal = Refusal(Outcome.EMPTY, head.status, "", head.headers, refused.body, Outcome.EMPTY.text, "decode")
    return Unanswered(refusal, instance)


def _is_cut(request: ClientRequest, stream: Stream, unframed: bool) -> bool:
    """Whether a stream that ended as HTTP has it is half an answer: a relay in between may hide that its engine died.

    Judged only where engines are known to tell the end of a stream, or where the end of the connection is all that
    tells it (`unframed`), and only if nothing says why the answer ends.
    """
    api, ends = request.api, request.router.ends
    if stream.no_first_event is not None or stream.given_up or stream.failed or stream.held is not None:
        return False
    if stream.over:
        ends.add(api.path)
        return False
    return (unframed or api.path in ends) and not (api.resumable and stream.finished)


def _after_refusal(request: ClientRequest, instance: Instance, head: Head, content: bytes) -> Exception:
    """What follows from a status that is no answer."""
    pool, outcome = request.router.decode, of_status(head.status)
    refusal = Refusal.of("decode", head, content, outcome)
    if outcome.counts:
        pool.failed(instance, refusal.end)
    elif not outcome.elsewhere:
        pool.succeeded(instance)
    if request.started:
        return Broken(refusal.text, outcome, instance)
    return Unanswered(refusal, instance) if outcome.elsewhere else refusal


def _after_failure(request: ClientRequest, attempt: Attempt, error: UpstreamError) -> Exception:
    """What follows from an exchange that broke off."""
    if attempt.refusal is not None:
        refusal = attempt.refusal
        return Broken(refusal.text, refusal.outcome) if request.started else refusal
    if error.outcome.counts:
        request.router.decode.failed(attempt.instance, error.outcome.text)
    if request.started:
        return Broken(f"decode instance: {error.outcome.text}", error.outcome, attempt.instance)
    return Unanswered(Refusal.failed("decode", error), attempt.instance, error.sent)
