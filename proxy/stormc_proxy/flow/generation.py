"""One prompt, one answer, over everything that may happen to it: given up for recomputation, cut, gone on elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from stormc_proxy.fleet.instance import HEALTHY, Instance
from stormc_proxy.flow.api import Api
from stormc_proxy.flow.attempts import attempts
from stormc_proxy.flow.body import Body, dumped
from stormc_proxy.flow.exchange import Answer, exchange
from stormc_proxy.flow.output import Output
from stormc_proxy.flow.refusal import RETRY_AFTER_SECONDS, Broken, Refusal
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.flow.resume import (
    MARK_BYTES,
    PartialAnswer,
    answer_at_limit,
    asks_usage,
    continuation_body,
    gave_up,
    joined_answer,
    limit,
    resumable,
)
from stormc_proxy.flow.router import Router
from stormc_proxy.flow.stream import Stream
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.outcomes import Outcome
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import Address
from stormc_proxy.telemetry.journal import Record

TOKENIZE_SECONDS = 5.0


class Generation:
    """Streamed answers go to `output`, others are returned."""

    def __init__(
        self, router: Router, api: Api, body: Body, fields: bytes, record: Record, output: Output | None
    ) -> None:
        """`fields` are the client's headers, as lines, to be passed on."""
        settings = router.settings
        keep = api.resumable and (settings.max_recomputes > 0 or settings.resume_streams)
        stream = Stream(output, api.chat, keep) if output is not None else None
        self._request = ClientRequest(router, api, body, fields, record, stream)
        self._api, self._body, self._router, self._record = api, body, router, record
        router.budget.request()

    def answer(self) -> Awaitable[Answer | None]:
        """The answer; None if it went to the output. Raises Refusal while nothing was sent, Broken afterwards."""
        stream = self._request.stream
        return self._answer_whole() if stream is None else self._stream(stream)

    async def _stream(self, stream: Stream) -> None:
        avoid: set[Address] = set()
        body = self._body
        cuts = 0
        while True:
            try:
                instance = (await attempts(self._request, body, avoid))[1]
            except Refusal as refusal:
                if stream.started:
                    raise Broken(refusal.text, refusal.outcome) from None
                raise
            except Broken as broken:
                cuts += 1
                if broken.instance is None or not self._may_go_on(stream, broken.instance, cuts):
                    raise
                instance = broken.instance
                stream.interrupted()
            finally:
                self._record.tokens = stream.tokens
            if not stream.given_up:
                return
            following = await self._continuation(stream, instance)
            if following is None:
                return
            if stream.cut:
                self._record.resumes += 1
                self._router.counts.resumes += 1
            else:
                self._recompute()
            body, avoid = following, {instance.address}

    def _may_go_on(self, stream: Stream, cut: Instance, cuts: int) -> bool:
        """Whether a stream whose instance died may go on at another one."""
        settings, router = self._router.settings, self._router
        if not settings.resume_streams or not stream.remembers or cuts >= max(1, settings.max_retries):
            return False
        return router.decode.other({cut.address}) and router.budget.allows(router.loop.time())

    async def _continuation(self, stream: Stream, instance: Instance) -> Body | None:
        """The body that asks for the rest of a stream; None when there is none to ask for. Raises Broken."""
        partial = stream.partial
        earlier = len(partial.text)
        told_tokens, chunks = stream.take()
        partial.tokens += await self._count(told_tokens, chunks, instance, partial.text[earlier:])
        if stream.cut and partial.finished:
            stream.finish(asks_usage(self._body))
            return None
        token_limit = limit(self._body, self._api.chat)
        if token_limit is not None and partial.tokens >= token_limit:
            stream.finish_at_limit(asks_usage(self._body))
            return None
        if not resumable(self._body, partial, self._api.chat):
            why = "broke off" if stream.cut else "was given up for recomputation"
            raise Broken(f"the answer {why} and cannot go on elsewhere")
        in_first = self._router.settings.chat_resume == "first-message"
        return continuation_body(self._body, partial, self._api.chat, in_first)

    async def _answer_whole(self) -> Answer:
        avoid: set[Address] = set()
        partial, body, first, chat = PartialAnswer(), self._body, None, self._api.chat
        while True:
            answer, instance = await attempts(self._request, body, avoid)
            assert answer is not None
            if first is None and (answer.body.find(MARK_BYTES) < 0 or not self._api.resumable):
                return answer
            value = _object(answer.body)
            if value is None:
                return answer
            if not gave_up(value):
                whole = answer.body if first is None else dumped(joined_answer(value, first, partial, chat)).encode()
                return Answer(answer.head, whole)
            self._recompute()
            before, first = first, first or value
            earlier = len(partial.text)
            count = await self._count(partial.add([value], chat)[0], 0, instance, partial.text[earlier:])
            partial.tokens += count
            token_limit = limit(self._body, chat)
            if not resumable(self._body, partial, chat):
                partial, body, first = PartialAnswer(), self._body, None  # nothing was sent: the whole answer once more
            elif token_limit is not None and partial.tokens >= token_limit:
                return Answer(answer.head, dumped(answer_at_limit(value, before, partial, count, chat)).encode())
            else:
                body = continuation_body(
                    self._body, partial, chat, self._router.settings.chat_resume == "first-message"
                )
            avoid = {instance.address}

    def _recompute(self) -> None:
        self._record.recomputes += 1
        self._router.counts.recomputes += 1
        most = self._router.settings.max_recomputes
        if self._record.recomputes > most:
            message = f"the answer was given up for recomputation more than {most} times"
            if self._request.started:
                raise Broken(message, Outcome.GIVEN_UP)
            raise Refusal.own(Outcome.GIVEN_UP, message, RETRY_AFTER_SECONDS)

    async def _count(self, told_tokens: int | None, chunks: int, instance: Instance, text: str) -> int:
        """How many tokens an attempt took: what the answer tells, else what the engine counts, else its chunks."""
        if told_tokens is not None:
            return told_tokens
        if not text:
            return 0
        counted = await self._count_by_engine(instance, text)
        return (chunks or len(text) // 4) if counted is None else counted

    async def _count_by_engine(self, instance: Instance, text: str) -> int | None:
        """vLLM's own count of a text's tokens; None if it has none to offer. One that died cannot tell."""
        pool, model = self._router.decode, self._body.values.get("model")
        lease = pool.pick(1) if instance.failing or instance.state != HEALTHY else None
        if lease is None and instance.state != HEALTHY:
            return None
        target = lease.instance if lease is not None else instance
        content = dumped({"model": model, "prompt": text, "add_special_tokens": False}).encode()
        line = b"POST /tokenize HTTP/1.1\r\n"
        try:
            exchanged = exchange(self._router.upstream, target, line, self._request.fields, content, new_id())
            answer = await asyncio.wait_for(exchanged, TOKENIZE_SECONDS)
        except (UpstreamError, asyncio.TimeoutError):
            return None
        finally:
            if lease is not None:
                lease.release()
        value = _object(answer.body) if answer.head.status == 200 else None
        count = value.get("count") if value is not None else None
        return count if isinstance(count, int) else None


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
