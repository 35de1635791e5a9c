"""Where log lines go: stdout, which may be a pipe whose reader stands still. It must not stop the proxy."""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from collections.abc import Iterable
from typing import TextIO

PIPE_BYTES = 4096
"""What Linux writes into a pipe whole or not at all (PIPE_BUF), so that lines of several workers stay whole."""
MOST_LINES = 20_000
"""Lines that wait for the reader; beyond, new ones are lost."""


class LogOutput:
    """Takes lines, and writes as many as the reader takes."""

    def __init__(self, out: TextIO) -> None:
        """A pipe is only written to while there is room in it; everything else takes what it gets."""
        self._out, self._pipe = out, _pipe_of(out)
        self._room = select.poll()
        if self._pipe is not None:
            self._room.register(self._pipe, select.POLLOUT)
        self._waiting: deque[str] = deque()
        self._rest = b""
        self.lost = 0

    @property
    def waits(self) -> bool:
        """Whether lines wait for the reader."""
        return bool(self._waiting or self._rest)

    def write(self, lines: Iterable[str]) -> None:
        """Write these lines behind those that wait; a reader that went away costs its lines, not the proxy."""
        for line in lines:
            if len(self._waiting) < MOST_LINES:
                self._waiting.append(line)
            else:
                self.lost += 1
        try:
            if self._pipe is None:
                text = "".join(f"{line}\n" for line in self._waiting)
                self._waiting.clear()
                self._out.write(text)
                self._out.flush()
            else:
                self._fill(self._pipe)
        except (OSError, ValueError):
            self._waiting.clear()
            self._rest = b""

    def _fill(self, pipe: int) -> None:
        """A pipe with room takes PIPE_BYTES. Raises OSError when nobody reads any more."""
        while self.waits and self._room.poll(0):
            if not self._rest:
                self._rest = self._next()
            self._rest = self._rest[os.write(pipe, self._rest[:PIPE_BYTES]) :]

    def _next(self) -> bytes:
        """As many whole lines as a pipe takes at once, one at least."""
        parts, size = list[bytes](), 0
        while self._waiting:
            raw = f"{self._waiting[0]}\n".encode()
            if parts and size + len(raw) > PIPE_BYTES:
                break
            parts.append(raw)
            size += len(raw)
            self._waiting.popleft()
        return b"".join(parts)


def _pipe_of(out: TextIO) -> int | None:
    """The descriptor of a pipe; None for everything else."""
    try:
        number = out.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except (OSError, ValueError):
        return None
