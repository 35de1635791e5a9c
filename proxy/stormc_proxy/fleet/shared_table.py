"""What the workers of one proxy share: a table in memory that each of them reads whole and writes its own column of.

A row is an instance: whether it is faulty, how often its score was reset, and per worker the load and the failures that
this worker put on it. No lock is needed for them: a cell has one writer, or any writer with the same value. Rows are
claimed under a file lock.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import zlib

from stormc_proxy.fleet.choice_log import ChoiceLog
from stormc_proxy.settings import Address

ROWS = 4096
_KEY, _FAULTY, _EPOCH, _SEEN, _PROBES, _FIRST = 0, 1, 2, 3, 4, 5


class SharedTable:
    """The table, in memory that forked workers share; made before they are forked."""

    def __init__(self, workers: int) -> None:
        """A table without instances."""
        self.workers = workers
        self._width = _FIRST + 2 * workers
        self.choices, self.pod = ChoiceLog(workers), secrets.randbits(64)
        self.worker = 0
        """Whose process this is, for the count of changes, of which each worker has a cell."""
        self._changes = ROWS * self._width
        size = (self._changes + workers) * 8
        self._file = os.memfd_create("proxy-table")
        os.ftruncate(self._file, size)
        self._cells = memoryview(mmap.mmap(self._file, size)).cast("q")
        self._change_counts = self._cells[self._changes :]

    def row(self, role: str, address: Address) -> int:
        """The instance's row, the same in every worker. Raises OverflowError when all are taken."""
        name = f"{role} {address}".encode()
        key = zlib.crc32(name) << 24 | zlib.adler32(name) & 0xFFFFFF | 1
        with open(os.dup(self._file), "r+b") as lock_file:
            fcntl.lockf(lock_file, fcntl.LOCK_EX)
            for number in range(ROWS):
                at = (key + number) % ROWS * self._width
                if self._cells[at + _KEY] in (0, key):
                    self._cells[at + _KEY] = key
                    return at
        raise OverflowError(f"more than {ROWS} instances")

    def changes(self) -> int:
        """How often anything but a load has changed so far; the same as before: nothing has."""
        return sum(self._change_counts)

    def _set(self, cell: int, value: int) -> None:
        """Write a cell that is no load, and count the change."""
        if self._cells[cell] != value:
            self._cells[cell] = value
            self._cells[self._changes + self.worker] += 1

    def loads(self, row: int) -> memoryview:
        """The cells with the load that each worker puts on an instance."""
        return self._cells[row + _FIRST : row + _FIRST + self.workers]

    def set_load(self, row: int, worker: int, load: int) -> None:
        """Write the load that a worker puts on an instance."""
        self._cells[row + _FIRST + worker] = load

    def failures(self, row: int) -> int:
        """The failures that all workers counted."""
        return sum(self._cells[row + _FIRST + self.workers : row + self._width])

    def is_quiet(self, row: int) -> bool:
        """Whether an instance is known to answer and no worker counts a failure of it."""
        return self._cells[row + _SEEN] == 1 and not self.failures(row)

    def own_failures(self, row: int, worker: int) -> int:
        """A worker's failures; 0 after another worker reset them."""
        return self._cells[row + _FIRST + self.workers + worker]

    def set_failures(self, row: int, worker: int, failures: int) -> None:
        """Write the failures that a worker has counted."""
        self._set(row + _FIRST + self.workers + worker, failures)

    def reset_failures(self, row: int) -> None:
        """A request went well: the failed ones of all workers count from 0."""
        for cell in range(row + _FIRST + self.workers, row + self._width):
            self._set(cell, 0)

    def probe_failures(self, row: int) -> int:
        """Failed probes in a row."""
        return self._cells[row + _PROBES]

    def set_probe_failures(self, row: int, failures: int) -> None:
        """Write the failed probes in a row; only the worker that probes does."""
        self._set(row + _PROBES, failures)

    def forget(self, row: int) -> None:
        """Clear the marks of an instance that is gone; one that comes under its address is another."""
        for cell in (_SEEN, _FAULTY, _PROBES):
            self._set(row + cell, 0)

    def isolate(self, row: int) -> None:
        """Mark an instance as faulty for every worker."""
        self._set(row + _FAULTY, 1)

    def readmit(self, row: int, epoch: int) -> None:
        """An instance is healthy again, its score was reset."""
        self._set(row + _EPOCH, epoch)
        self._set(row + _FAULTY, 0)

    def state(self, row: int) -> tuple[bool, int]:
        """Whether an instance is faulty, and the epoch of its score."""
        return bool(self._cells[row + _FAULTY]), self._cells[row + _EPOCH]

    def seen(self, row: int) -> bool:
        """Whether an instance has answered some worker."""
        return bool(self._cells[row + _SEEN])

    def note_seen(self, row: int) -> None:
        """Mark an instance as one that has answered."""
        self._set(row + _SEEN, 1)

    def clear(self, worker: int) -> None:
        """A worker died: what it put on the instances is gone with it."""
        for row in range(0, ROWS * self._width, self._width):
            self.set_load(row, worker, 0)
            self.set_failures(row, worker, 0)
