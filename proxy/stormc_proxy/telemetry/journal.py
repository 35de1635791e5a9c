"""What happened to each request: a line of JSON per request, and the numbers behind /metrics and /status."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

FLUSH_SECONDS = 0.1


def new_id() -> str:
    """A random UUID from the system's randomness: who knows one id, or a thousand, knows nothing of the next."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def new_secret() -> str:
    """What only one decode instance is told, for one attempt."""
    return os.urandom(16).hex()


class Record:
    """One client request, filled in on its way."""

    __slots__ = (
        "attempts", "began", "cached", "client", "decode", "end", "first_seconds", "key", "model", "path", "prefill",
        "prefill_seconds", "recomputes", "status", "stream", "tokens",
    )  # fmt: skip

    def __init__(self, path: str, client: str) -> None:
        """`client` is the id that the client gave, or got."""
        self.path, self.client = path, client
        self.began = time.perf_counter()
        self.key = self.prefill = self.decode = self.end = self.model = ""
        self.attempts = self.recomputes = self.status = self.tokens = 0
        self.prefill_seconds = self.first_seconds = 0.0
        self.stream = False
        self.cached: tuple[int, int | None] = (0, None)
        """Prompt tokens in prefill's cache, estimated and reported."""

    def line(self, seconds: float) -> str:
        """The log line; `seconds` is the whole time of the request."""
        fields: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z",
            "event": "request", "client_id": self.client, "id": self.key, "path": self.path, "model": self.model,
            "stream": self.stream, "status": self.status, "end": self.end, "prefill": self.prefill,
            "decode": self.decode, "attempts": self.attempts, "recomputes": self.recomputes,
            "prefill_ms": round(self.prefill_seconds * 1000, 1), "first_byte_ms": round(self.first_seconds * 1000, 1),
            "total_ms": round(seconds * 1000, 1), "tokens": self.tokens,
            "cached_tokens_estimated": self.cached[0], "cached_tokens": self.cached[1],
        }  # fmt: skip
        return json.dumps(fields, separators=(",", ":"))


class Journal:
    """The log: lines are collected for a moment and written together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, out: TextIO | None = None) -> None:
        """Writes to stdout unless told otherwise."""
        self._loop, self._out = loop, out or sys.stdout
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: str) -> None:
        """One line, soon."""
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self.flush)

    def event(self, event: str, **fields: object) -> None:
        """Something that happened to the proxy itself."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z"
        self.write(json.dumps({"time": stamp, "event": event, **fields}, separators=(",", ":")))

    def flush(self) -> None:
        """Write what was collected. A reader that went away costs its lines, not the proxy."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            try:
                self._out.write("\n".join(lines) + "\n")
                self._out.flush()
            except (OSError, ValueError):
                pass


Tell = Callable[..., None]
