"""What happened to each request: a line of JSON per request, and the numbers behind /metrics and /status."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TextIO

from stormc_proxy.outcomes import Outcome
from stormc_proxy.telemetry.log_output import LogOutput
from stormc_proxy.telemetry.tracing import Span

FLUSH_SECONDS = 0.1
SELDOM_SECONDS = 1.0
CLOSE_SECONDS = 1.0


class Record:
    """One client request, filled in on its way."""

    __slots__ = (
        "alone", "attempts", "began", "cached", "client", "decode", "end", "first_seconds", "key", "model", "outcome",
        "path", "prefill", "prefill_seconds", "recomputes", "resumes", "span", "status", "stream", "tokens",
    )  # fmt: skip

    def __init__(self, path: str, client: str) -> None:
        """`client` is the id that the client gave, or got."""
        self.path, self.client = path, client
        self.began = time.perf_counter()
        self.key = self.prefill = self.decode = self.model = self.end = ""
        self.outcome = Outcome.COMPLETE
        self.attempts = self.recomputes = self.resumes = self.status = self.tokens = 0
        self.prefill_seconds = self.first_seconds = 0.0
        self.stream = self.alone = False
        self.span: Span | None = None
        self.cached: tuple[int, int | None] = (0, None)
        """Prompt tokens in prefill's cache, estimated and reported."""

    def ended(self, outcome: Outcome, end: str = "") -> None:
        """How it ended; `end` says more than the outcome's own words."""
        self.outcome, self.end = outcome, end

    @property
    def how(self) -> str:
        """How it ended, in the words of the log."""
        return self.end or self.outcome.text

    @property
    def _trace(self) -> str:
        return f',"trace_id":"{self.span.trace}"' if self.span is not None else ""

    def line(self, seconds: float) -> str:
        """The log line; `seconds` is the whole time of the request."""
        return (
            f'{{"time":"{stamp()}","event":"request","client_id":{_text(self.client)},"id":"{self.key}",'
            f'"path":{_text(self.path)},"model":{_text(self.model)},"stream":{"true" if self.stream else "false"},'
            f'"status":{self.status},"end":{_text(self.how)},"prefill":"{self.prefill}","decode":"{self.decode}",'
            f'"alone":{"true" if self.alone else "false"},"attempts":{self.attempts},"recomputes":{self.recomputes},'
            f'"resumes":{self.resumes},"prefill_ms":{self.prefill_seconds * 1000:.1f},'
            f'"first_byte_ms":{self.first_seconds * 1000:.1f},"total_ms":{seconds * 1000:.1f},"tokens":{self.tokens},'
            f'"cached_tokens_estimated":{self.cached[0]},"cached_tokens":{json.dumps(self.cached[1])}{self._trace}}}'
        )


_text = json.encoder.encode_basestring_ascii


class Clock:
    """The time of day as text, made once a second."""

    def __init__(self) -> None:
        """Makes its text at the first call."""
        self._second, self._text = -1, ""

    def __call__(self) -> str:
        """The time in UTC, to the second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        return self._text


stamp = Clock()


class Journal:
    """The log: lines are collected for a moment and written together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, out: TextIO | None = None) -> None:
        """Writes to stdout unless told otherwise."""
        self._loop, self._output = loop, LogOutput(out or sys.stdout)
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._last_events: dict[tuple[str, object], tuple[float, int]] = {}

    def write(self, line: str) -> None:
        """Write a line within FLUSH_SECONDS."""
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self.flush)

    def event(self, event: str, **fields: object) -> None:
        """Something that happened to the proxy itself."""
        self.write(json.dumps({"time": stamp(), "event": event, **fields}, separators=(",", ":")))

    def seldom(self, event: str, **fields: object) -> None:
        """Something that may happen many times a second: told once a second, with how often it was."""
        now, key = self._loop.time(), (event, fields.get("end"))
        last_time, count = self._last_events.get(key, (-SELDOM_SECONDS, 0))
        if now - last_time < SELDOM_SECONDS:
            self._last_events[key] = (last_time, count + 1)
        else:
            self._last_events[key] = (now, 0)
            self.event(event, **fields, **({"more_before": count} if count else {}))

    def flush(self) -> None:
        """Write what was collected, as far as the reader takes it; the rest is tried again soon."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        self._output.write(lines)
        if self._output.waits:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self.flush)
        elif self._output.lost:
            lines_lost, self._output.lost = self._output.lost, 0
            self.event("lines_lost", count=lines_lost)

    def close(self) -> None:
        """Write what is left; a reader that stands still gets a moment for it."""
        end = time.monotonic() + CLOSE_SECONDS
        self.flush()
        while self._output.waits and time.monotonic() < end:
            time.sleep(0.01)
            self.flush()
        if self._timer is not None:
            self._timer.cancel()
