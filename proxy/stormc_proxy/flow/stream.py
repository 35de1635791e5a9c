"""A streamed answer on its way from decode to the client: bytes as they come, events only where one has to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from stormc_proxy.flow.resume import Said, gave_up, summed_usage, total_usage, with_cached_tokens
from stormc_proxy.http.events import DONE, Transcript, chunk, event, parsed, split, unframed
from stormc_proxy.http.upstream import Connection, Head

_MARK = b"recomputed"
_USAGE = b'"usage"'


class Source(Protocol):
    """Where a streamed answer comes from."""

    def pause(self) -> None:
        """Send nothing more for now."""

    def resume(self) -> None:
        """Go on."""


class Output(Protocol):
    """Where a streamed answer goes."""

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece of each attempt; what comes too fast makes `source` pause."""

    def write(self, framed: bytes) -> None:
        """Whole chunks that hold whole events."""


class Stream:
    """The sink of decode's event stream, over all attempts of one generation.

    Chunks go on as they are. Only one that mentions `recomputed`, or usage where the number of cached tokens is known,
    is parsed; after an answer was given up all are, because its continuation has to look like the same answer.
    """

    __slots__ = (
        "_first", "_head", "_output", "_partial", "_resumed", "_source", "cached", "chat", "events", "first_id",
        "given_up", "said", "started", "terminal", "transcript",
    )  # fmt: skip

    def __init__(self, output: Output, chat: bool, keep: bool) -> None:
        """`keep`: remember what was said, so that it can be resumed."""
        self._output, self.chat = output, chat
        self.transcript = Transcript() if keep else None
        self.said = Said()
        self.started = self.given_up = self._resumed = False
        self.events = 0
        self.cached: int | None = None
        self.first_id: dict[str, Any] = {}
        self.terminal: dict[str, Any] = {}
        self._partial = b""
        self._head: Head | None = None
        self._source: Connection | None = None
        self._first: Callable[[], None] | None = None

    def begin(self, connection: Connection, head: Head, first: Callable[[], None]) -> None:
        """Before the body of an attempt; `first` is called with its first bytes."""
        self._head, self._source, self._first = head, connection, first
        self._partial = b""
        self._resumed = self.given_up
        self.given_up = False

    def chunks(self, framed: bytes, count: int, whole: bool) -> None:
        """Part of decode's body."""
        if self._first is not None:
            self._open()
        if not whole:
            framed = chunk(unframed(framed))
        self.events += count
        if self._resumed or self.given_up or _MARK in framed or (self.cached is not None and _USAGE in framed):
            self._by_event(unframed(framed))
            return
        if self.transcript is not None:
            self.transcript.add(framed)
        self._output.write(framed)

    def data(self, data: bytes) -> None:
        """Part of a body without chunks: whole events become chunks."""
        data = self._partial + data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        if end < 4:
            self._partial = data
            return
        self._partial = data[end:]
        self.chunks(chunk(data[:end]), data.count(b"data:", 0, end), True)

    def close(self) -> None:
        """At the end of an attempt's body: what no blank line ended goes out as it is."""
        if self._partial:
            rest, self._partial = self._partial, b""
            self.chunks(chunk(rest), 1, True)
        if self._first is not None:
            self._open()

    def _open(self) -> None:
        first, self._first = self._first, None
        assert first is not None and self._head is not None and self._source is not None
        first()
        self.started = True
        self._output.begin(self._head, self)

    def pause(self) -> None:
        """Stop reading from decode, as long as the connection is still ours."""
        if self._source is not None and self._source.sink is self:
            self._source.pause()

    def resume(self) -> None:
        """Read on."""
        if self._source is not None and self._source.sink is self:
            self._source.resume()

    def _by_event(self, payload: bytes) -> None:
        if self.transcript is not None:
            self.transcript.add(chunk(payload))
        kept = []
        for raw in split(payload):
            value = parsed(raw)
            changed = raw if value is None and not self.given_up else self._changed(raw, value)
            if changed:
                kept.append(changed)
        if kept:
            self._output.write(chunk(b"".join(kept)))

    def _changed(self, raw: bytes, value: dict[str, Any] | None) -> bytes:
        """The event as the client shall see it; nothing if it shall not."""
        if value is None or self.given_up:
            if value is not None and isinstance(value.get("usage"), dict):
                self.terminal = {**self.terminal, "usage": value["usage"]}
            return b""
        if gave_up(value):
            return self._give_up(value)
        usage = value.get("usage")
        if self._resumed:
            if self._is_second_greeting(value):
                return b""
            value = {**value, **self.first_id}
            if isinstance(usage, dict):
                value["usage"] = usage = summed_usage(usage, self.said)
        if self.cached is not None and isinstance(usage, dict) and not value.get("choices"):
            value = {**value, "usage": with_cached_tokens(usage, self.cached)}
        elif not self._resumed:
            return raw
        return event(value)

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

    def take(self) -> tuple[int | None, int]:
        """Add what this attempt said to `said`, and say how much it was, as `Said.add` does."""
        assert self.transcript is not None
        values, self.transcript = self.transcript.objects(), Transcript()
        return self.said.add(values, self.chat)

    def finish_at_limit(self) -> None:
        """End an answer whose budget was used up when it was given up: as the engine does at max_tokens."""
        value = {**self.terminal, **self.first_id}
        usage = value.pop("usage", None)
        part: dict[str, Any] = {"delta": {}} if self.chat else {"text": ""}
        value["choices"] = [{"index": 0, **part, "logprobs": None, "finish_reason": "length", "stop_reason": None}]
        self._output.write(chunk(event(value)))
        if isinstance(usage, dict):
            self._output.write(chunk(event({**value, "choices": [], "usage": total_usage(self.said)})))
        self._output.write(chunk(DONE))
