"""A progress line on a terminal, once the work has taken a second."""

from __future__ import annotations

import sys
import time

from stormc.report.escape import raw

AFTER_SECONDS = 1.0
EVERY_SECONDS = 0.1


class Progress:
    """Called with (done, total); writes to standard error only when that is a terminal."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next = time.monotonic() + AFTER_SECONDS
        self._shown = False
        self._stream = raw(sys.stderr)
        self._terminal = self._stream.isatty()

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._terminal and now >= self._next:
            self._next = now + EVERY_SECONDS
            self._shown = True
            self._stream.write(f"\r\033[K{self._verb} {done}/{total}")
            self._stream.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
