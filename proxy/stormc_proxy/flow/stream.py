"""A streamed answer on its way from decode to the client: bytes as they come, events only where one has to change.

What is an answer: the first event with data. Comments and blank lines before it (vLLM's --sse-keep-alive-interval sends
them while a request waits) go to the client and say nothing about the request. Announcements of the Responses API,
which vLLM sends before the engine has even been asked (responses/serving.py), wait for the first event that says
something. An error in place of the first event is a refusal like its status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stormc_proxy.flow.api import ANSWER_TOKENS
from stormc_proxy.flow.body import dumped
from stormc_proxy.flow.cached_tokens import usage_with_cached
from stormc_proxy.flow.output import Output
from stormc_proxy.flow.resume import MARK_BYTES, PartialAnswer, gave_up, shifted, summed_usage, total_usage
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.events import DONE, Transcript, chunk, event, has_data, is_done, parsed, split, unframed
from stormc_proxy.outcomes import Outcome, error_in, of_error

_DONE_CHUNK = DONE + b"\r\n"
_USAGE = b'"usage"'
_ERROR = b'"error"'
_RESPONSE = b'"response.'
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_ENDS = (b"message_stop", b"response.completed", b"response.incomplete")
_ANNOUNCEMENTS = ("response.created", "response.queued", "response.in_progress")


class NoFirstEvent(NamedTuple):
    """A stream that began with an error, or ended without an event."""

    status: int
    """The error's status; 0 where the stream ended without an event."""
    body: bytes


class Stream:
    """The sink of decode's event stream, over all attempts of one generation.

    Chunks go on as they are. Only one that mentions `recomputed`, an error, or usage where the number of cached tokens
    is known, is parsed; after an answer broke off all are, because its continuation has to look like the same answer.
    """

    __slots__ = (
        "_adds_cached", "_announced", "_first", "_head", "_last", "_latest", "_output", "_partial", "_resumed",
        "_source", "cached", "chat", "committed", "cut", "events", "failed", "first_id", "given_up", "held",
        "no_first_event", "partial", "prompt", "started", "terminal", "transcript", "used",
    )  # fmt: skip

    def __init__(self, output: Output, chat: bool, keep: bool) -> None:
        """`keep`: remember what was said, so that it can be resumed."""
        self._output, self.chat = output, chat
        self.transcript = Transcript() if keep else None
        self.partial = PartialAnswer()
        self.committed = self.started = self.given_up = self.cut = self.failed = False
        self._resumed = self._adds_cached = self.used = False
        self.events = 0
        self.held: bytes | None = None
        """The body so far of an attempt whose answer is not a stream of events; None for one whose answer is."""
        self.cached: int | None = None
        self.prompt: int | None = None
        self.no_first_event: NoFirstEvent | None = None
        self.first_id: dict[str, Any] = {}
        self.terminal: dict[str, Any] = {}
        self._partial = self._last = self._latest = self._announced = b""
        self._head: Head | None = None
        self._source: Connection | None = None
        self._first: Callable[[], None] | None = None

    @property
    def remembers(self) -> bool:
        """Whether what was said is kept, so that the answer can go on elsewhere."""
        return self.transcript is not None

    @property
    def tokens(self) -> int:
        """What usage told last, else the number of events."""
        counts = ANSWER_TOKENS.findall(self._last)
        return self.partial.tokens + int(counts[-1]) if counts else self.events

    @property
    def over(self) -> bool:
        """Whether what came last is an answer's end in its API: the instance may go now."""
        latest = b"" if self.given_up else self._latest
        return latest.endswith(_DONE_CHUNK) or (bool(latest) and any(map(_ends, split(unframed(latest)))))

    @property
    def finished(self) -> bool:
        """Whether this attempt said why its answer ends; true where nothing of it is kept."""
        if self.transcript is None:
            return True
        return any(c.get("finish_reason") for v in self.transcript.objects() for c in v.get("choices") or ())

    def tell_prompt(self, tokens: int | None, cached: int | None, add: bool) -> None:
        """Tokens of the prompt, and how many prefill had in its cache, for usage; `add`: where decode tells none too.

        The prompt of a resumed answer holds part of it; the client's own is the first.
        """
        self.cached, self._adds_cached = cached, add
        self.prompt = tokens if self.prompt is None else self.prompt

    def begin(self, connection: Connection, head: Head, first: Callable[[], None]) -> None:
        """Before the body of an attempt; `first` is called with its first event."""
        self._head, self._source, self._first = head, connection, first
        self.held = None if head.is_event_stream() else b""
        self._partial = self._last = self._latest = self._announced = b""
        self.no_first_event = None
        self._resumed = self._resumed or self.given_up
        self.given_up = self.cut = False

    def chunks(self, framed: bytes, count: int, whole: bool) -> bool:
        """Part of decode's body; whether it says something."""
        if not whole:
            framed = chunk(unframed(framed))
        if self._first is not None:
            framed = self._before_first(framed) if self.held is None else self._take_unnamed(framed)
            if not framed:
                return False
        elif framed[framed.find(b"\r\n") + 2] == 0x3A and not has_data(unframed(framed)):  # a comment
            self._output.write(framed)
            return False
        self.events += count
        self._latest = framed
        telling = False
        if framed.find(_USAGE) >= 0:  # `in` would raise and catch an error each time, before Python 3.12
            self._last, telling = framed, self.cached is not None
        if self._resumed or self.given_up or telling or framed.find(MARK_BYTES) >= 0 or framed.find(_ERROR) >= 0:
            self._by_event(unframed(framed))
            return True
        if self.transcript is not None:
            self.transcript.add(framed)
        self._output.write(framed)
        return True

    def data(self, data: bytes) -> bool:
        """Part of a body without chunks: whole events become chunks."""
        data = self._partial + data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        if end < 4:
            self._partial = data
            return False
        self._partial = data[end:]
        return self.chunks(chunk(data[:end]), data.count(b"data:", 0, end), True)

    def flush(self) -> None:
        """At the end of an attempt's body: what no blank line ended goes out as it is."""
        if self._partial:
            rest, self._partial = self._partial, b""
            self.chunks(chunk(rest), 1, True)
        if self._first is not None and self.no_first_event is None and self.held is None:
            self.no_first_event = NoFirstEvent(0, self._announced)

    def whole(self, head: Head) -> None:
        """An answer that is no events, from an engine that took `stream` for false: it goes out as it is."""
        assert self.held is not None
        self.started = self.committed = True
        self._last = self.held
        self._output.begin(head, self)
        self._output.write(chunk(self.held))

    def _take_unnamed(self, framed: bytes) -> bytes:
        """Of a body that is not called events: what begins like some goes on, everything else is held to its end."""
        assert self.held is not None
        body = self.held + unframed(framed)
        if not body.lstrip().startswith(_FIELDS):
            self.held = body
            return b""
        self.held = None
        self._open()
        return chunk(body)

    def _before_first(self, framed: bytes) -> bytes:
        """What is left of chunks from the first event on; comments before it go out, an error stays here."""
        begins_with_data = framed.startswith(b"data:", framed.find(b"\r\n") + 2)
        first = framed[: framed.find(b"\n\n") + 1 or None]
        if begins_with_data and _ERROR not in first and _RESPONSE not in first:
            self._open()
            return framed
        if self.no_first_event is not None:
            return b""
        payload = unframed(framed)
        start, comments = 0, []
        for raw in split(payload):
            if not has_data(raw):
                comments.append(raw)
            elif not _announces(raw):
                break
            else:
                self._announced += raw
            start += len(raw)
        if comments and not self._resumed:
            self._commit()
            self._output.write(chunk(b"".join(comments)))
        rest = payload[start:]
        if not rest:
            return b""
        value = parsed(split(rest)[0]) if _ERROR in rest else None
        if value is not None and (error := error_in(value)) is not None:
            self.no_first_event = NoFirstEvent(of_error(error), dumped(value).encode())
            assert self._source is not None
            self._source.abort(Outcome.SERVER_ERROR)
            return b""
        self._open()
        return chunk(self._announced + rest)

    def _commit(self) -> None:
        assert self._head is not None
        if not self.committed:
            self.committed = True
            self._output.begin(self._head, self)

    def _open(self) -> None:
        first, self._first = self._first, None
        assert first is not None and self._head is not None
        first()
        self.started = self.committed = True
        self._output.begin(self._head, self)

    def pause(self) -> None:
        """Stop reading from decode, as long as the connection is still ours."""
        if self._source is not None and self._source.sink is self:
            self._source.pause()

    def resume(self) -> None:
        """Go on reading from decode."""
        if self._source is not None and self._source.sink is self:
            self._source.resume()

    def _by_event(self, payload: bytes) -> None:
        if self.transcript is not None:
            self.transcript.add(chunk(payload))
        events = []
        for raw in split(payload):
            value = parsed(raw)
            changed = raw if value is None and not self.given_up else self._client_event(raw, value)
            if changed:
                events.append(changed)
        if events:
            self._output.write(chunk(b"".join(events)))

    def _client_event(self, raw: bytes, value: dict[str, Any] | None) -> bytes:
        """The event as the client shall see it; nothing if it shall not."""
        if value is None or self.given_up:
            if value is not None and isinstance(value.get("usage"), dict):
                self.terminal = {**self.terminal, "usage": value["usage"]}
            return b""
        if self.transcript is not None and gave_up(value):
            return self._give_up(value)
        if error_in(value) is not None:
            self.failed = True
            return raw
        usage = value.get("usage")
        if self._resumed:
            if self._is_second_greeting(value):
                return b""
            value = {**value, **self.first_id}
            if value.get("choices"):
                value["choices"] = [self._place_choice(choice) for choice in value["choices"]]
            if isinstance(usage, dict):
                value["usage"] = usage = summed_usage(usage, self.partial)
        tells_cached = self._adds_cached or (
            isinstance(usage, dict) and isinstance(usage.get("prompt_tokens_details"), dict)
        )
        if self.cached is not None and isinstance(usage, dict) and not value.get("choices") and tells_cached:
            value = {**value, "usage": usage_with_cached(usage, self.cached)}
        elif not self._resumed:
            return raw
        return event(value)

    def _place_choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        """A choice of a resumed answer, with its places in the whole text."""
        logprobs = choice.get("logprobs")
        return (
            {**choice, "logprobs": shifted(logprobs, len(self.partial.text))} if isinstance(logprobs, dict) else choice
        )

    def _give_up(self, value: dict[str, Any]) -> bytes:
        """Hide the terminal event; text in it was said all the same."""
        if not self._resumed:
            self.first_id = {key: value[key] for key in ("id", "created") if key in value}
        self.given_up = True
        self.terminal = value
        choices = value.get("choices") or [{}]
        part = choices[0].get("delta") or {} if self.chat else choices[0]
        if not part.get("content" if self.chat else "text"):
            return b""
        shown = [{**choice, "finish_reason": None, "stop_reason": None} for choice in choices]
        return event({**value, **(self.first_id if self._resumed else {}), "choices": shown})

    def _is_second_greeting(self, value: dict[str, Any]) -> bool:
        """vLLM opens a chat stream with a chunk that names the role and says nothing."""
        choices = value.get("choices") or [{}]
        delta = choices[0].get("delta")
        return self.chat and isinstance(delta, dict) and "role" in delta and not delta.get("content")

    def interrupted(self) -> None:
        """Its instance died in the middle: what it said goes on elsewhere."""
        self.given_up = self.cut = True
        self._partial = b""

    def take(self) -> tuple[int | None, int]:
        """Add what this attempt said to `partial`; returns what PartialAnswer.add does."""
        assert self.transcript is not None
        values, self.transcript = self.transcript.objects(), Transcript()
        if values and self.cut:
            self.used = self.used or any(not v.get("choices") and isinstance(v.get("usage"), dict) for v in values)
            self.terminal = self.terminal or values[0]
            self.first_id = self.first_id or {key: values[0][key] for key in ("id", "created") if key in values[0]}
        return self.partial.add(values, self.chat)

    def finish(self, usage: bool) -> None:
        """End an answer that was complete when its instance died before it could say so; `usage` is wished for."""
        prompt = self.partial.prompt_tokens if self.prompt is None else self.prompt
        if usage and not self.used and prompt is not None:
            self.partial.prompt_tokens = prompt
            tokens = total_usage(self.partial)
            tokens = usage_with_cached(tokens, self.cached) if self._adds_cached and self.cached is not None else tokens
            value = {key: self.terminal[key] for key in self.terminal if key not in ("usage", "choices")}
            self._output.write(chunk(event({**value, **self.first_id, "choices": [], "usage": tokens})))
        self._output.write(chunk(DONE))

    def finish_at_limit(self, usage: bool) -> None:
        """End an answer whose budget was used up when it was given up: as the engine does at max_tokens."""
        value = {**self.terminal, **self.first_id}
        value.pop("usage", None)
        part: dict[str, Any] = {"delta": {}} if self.chat else {"text": ""}
        value["choices"] = [{"index": 0, **part, "logprobs": None, "finish_reason": "length", "stop_reason": None}]
        self._output.write(chunk(event(value)))
        self.finish(usage)


def _ends(raw: bytes) -> bool:
    """Whether an event is the last one of an answer, in any API."""
    if is_done(raw):
        return True
    value = parsed(raw) if any(mark in raw for mark in _ENDS) else None
    return value is not None and value.get("type") in ("message_stop", "response.completed", "response.incomplete")


def _announces(raw: bytes) -> bool:
    """Whether an event tells no more than that the request is known."""
    value = parsed(raw) if _RESPONSE in raw else None
    return value is not None and value.get("type") in _ANNOUNCEMENTS
