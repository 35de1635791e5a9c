"""Spans of requests: where one came from, what was asked of engines for it, and the headers that carry that on.

The headers are those of W3C Trace Context: `traceparent` is `00-<trace>-<parent span>-<flags>`. A client's trace goes
on, engines hang their spans under those of the proxy; `tracestate` passes as it is. The names of attributes are
OpenTelemetry's semantic conventions for HTTP and generative AI.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Callable
from typing import NamedTuple

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII
)
MESSAGE_CHARACTERS = 200
SERVER, CLIENT = 2, 3
"""Kinds of spans, as opentelemetry-proto's trace.proto numbers them."""


class Context(NamedTuple):
    """What a header says: which trace, under which span, and whether it is recorded."""

    trace: str
    span: str
    sampled: bool


class Span:
    """Something that takes time, in one trace."""

    __slots__ = ("_ended", "attributes", "began", "ended", "failed", "id", "kind", "name", "parent", "trace")

    def __init__(self, name: str, kind: int, trace: str, parent: str, ended: Callable[[Span], None]) -> None:
        """It begins now. `ended(span)` hears of its end."""
        self.name, self.kind, self.trace, self.parent, self._ended = name, kind, trace, parent, ended
        self.id = os.urandom(8).hex()
        self.began, self.ended, self.failed = time.time_ns(), 0, ""
        self.attributes: dict[str, str | int] = {}

    @property
    def header(self) -> bytes:
        """The header line for whoever is asked within this span."""
        return f"traceparent: 00-{self.trace}-{self.id}-01\r\n".encode()

    def child(self, name: str) -> Span:
        """A span within this one, for a request to an engine."""
        return Span(name, CLIENT, self.trace, self.id, self._ended)

    def __enter__(self) -> Span:
        """The span, which ends with the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """In vain if the block raised, unless nobody waited for it any more."""
        self.end("" if kind is None or kind is asyncio.CancelledError else str(error)[:MESSAGE_CHARACTERS])

    def end(self, failed: str = "") -> None:
        """It is over; `failed` says why it was in vain."""
        if not self.ended:
            self.ended, self.failed = time.time_ns(), failed
            self._ended(self)


class Tracer:
    """Begins the span of each request that is to be recorded."""

    def __init__(self, percent: float, ended: Callable[[Span], None]) -> None:
        """`percent` of the requests that bring no decision along; `ended(span)` hears of every span's end."""
        self.percent, self._ended = percent, ended

    def begin(self, name: str, traceparent: str) -> Span | None:
        """The span of a request; None if it is not recorded."""
        context = context_of(traceparent)
        sampled = context.sampled if context is not None else random.random() * 100 < self.percent
        if not sampled:
            return None
        trace, parent = (context.trace, context.span) if context is not None else (os.urandom(16).hex(), "")
        return Span(name, SERVER, trace, parent, self._ended)


def context_of(traceparent: str) -> Context | None:
    """What a traceparent header says; None if it is not one."""
    fields = _PARENT.fullmatch(traceparent.strip())
    if fields is None:
        return None
    trace, span, flags = fields.groups()
    return Context(trace, span, bool(int(flags, 16) & 1))
