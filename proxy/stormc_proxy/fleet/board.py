"""What the workers of one proxy share: a table in memory that each of them reads whole and writes its own column of.

A row is an instance: whether it is faulty, how often its score was reset, and per worker the load and the failures that
this worker put on it. No lock is needed for them: a cell has one writer, or any writer with the same value. Rows are
claimed under a file lock.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator

from stormc_proxy.fleet.choice_log import Choice, ChoiceLog, Colleagues
from stormc_proxy.fleet.instance import EXPECTED, FAULTY, HEALTHY, LEAVING, Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.prompt_keys import Prompt
from stormc_proxy.settings import Address

ROWS = 4096
_KEY, _FAULTY, _EPOCH, _SEEN, _PROBES, _FIRST = 0, 1, 2, 3, 4, 5


class Board:
    """The table. Made before the workers are forked."""

    def __init__(self, workers: int) -> None:
        """All zero."""
        self.workers = workers
        self._width = _FIRST + 2 * workers
        self.choices, self.pod = ChoiceLog(workers), secrets.randbits(64)
        self.worker = 0
        """Whose process this is, for the count of changes, of which each worker has a cell."""
        self._changes = ROWS * self._width
        size = (self._changes + workers) * 8
        self._file = os.memfd_create("proxy-board")
        os.ftruncate(self._file, size)
        self._cells = memoryview(mmap.mmap(self._file, size)).cast("q")
        self._change_counts = self._cells[self._changes :]

    def row(self, role: str, address: Address) -> int:
        """The instance's row, the same in every worker. Raises OverflowError when all are taken."""
        name = f"{role} {address}".encode()
        key = zlib.crc32(name) << 24 | zlib.adler32(name) & 0xFFFFFF | 1
        with open(os.dup(self._file), "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
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
        """Anything but a load."""
        if self._cells[cell] != value:
            self._cells[cell] = value
            self._cells[self._changes + self.worker] += 1

    def loads(self, row: int) -> memoryview:
        """The cells with the load that each worker puts on an instance."""
        return self._cells[row + _FIRST : row + _FIRST + self.workers]

    def set_load(self, row: int, worker: int, load: int) -> None:
        """A worker's load."""
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
        """A worker's failures."""
        self._set(row + _FIRST + self.workers + worker, failures)

    def reset_failures(self, row: int) -> None:
        """A request went well: the failed ones of all workers count from 0."""
        for cell in range(row + _FIRST + self.workers, row + self._width):
            self._set(cell, 0)

    def probe_failures(self, row: int) -> int:
        """Failed probes in a row."""
        return self._cells[row + _PROBES]

    def set_probe_failures(self, row: int, failures: int) -> None:
        """Written by the worker that probes."""
        self._set(row + _PROBES, failures)

    def forget(self, row: int) -> None:
        """An instance is gone; one that comes under its name is another."""
        for cell in (_SEEN, _FAULTY, _PROBES):
            self._set(row + cell, 0)

    def isolate(self, row: int) -> None:
        """An instance is faulty, for every worker."""
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
        """An instance answered."""
        self._set(row + _SEEN, 1)

    def clear(self, worker: int) -> None:
        """A worker died: what it put on the instances is gone with it."""
        for row in range(0, ROWS * self._width, self._width):
            self.set_load(row, worker, 0)
            self.set_failures(row, worker, 0)


class SharedPool(Pool):
    """A pool whose loads and faults are those of all workers; picking looks at every instance instead of a heap."""

    board: Board
    worker: int
    colleagues: Colleagues
    _by_row: dict[int, Instance]
    _synced: int
    """The board's changes that are taken over; -1 while there are instances that it was not asked about."""

    told = True

    def tell_choice(self, instance: Instance, prompt: Prompt) -> None:
        """A row of the board names the instance."""
        self.colleagues.tell(Choice(instance.row, prompt.session, prompt.size, prompt.keys))

    def heard_choices(self) -> Iterator[tuple[Instance, Prompt]]:
        """An instance that this worker does not know yet, or no longer, is passed over."""
        for choice in self.colleagues.heard():
            instance = self._by_row.get(choice.number)
            if instance is None or self.instances.get(instance.address) is not instance:
                self._by_row = {instance.row: instance for instance in self}
                instance = self._by_row.get(choice.number)
            if instance is not None:
                yield instance, Prompt(choice.keys, choice.session, 0, choice.size)

    def moved(self, instance: Instance) -> None:
        """Tell the others."""
        instance.loads[self.worker] = instance.load + instance.foreign

    def succeeded(self, instance: Instance) -> None:
        """A success resets the failures of all workers."""
        if not self.board.is_quiet(instance.row):
            if not self.policy.cumulative and instance.state != FAULTY:
                self.board.reset_failures(instance.row)
            self.board.note_seen(instance.row)
        super().succeeded(instance)

    def probed(self, instance: Instance, healthy: bool, why: str = "health probe", mute: bool = False) -> None:
        """One worker probes for all."""
        super().probed(instance, healthy, why, mute)
        row = instance.row
        self.board.set_probe_failures(row, instance.probe_failures)
        if healthy:
            self.board.note_seen(row)

    def sync(self) -> None:
        """Take over what other workers found out."""
        self._synced = self.board.changes()
        for instance in self:
            row = instance.row
            faulty, epoch = self.board.state(row)
            if not self.board.own_failures(row, self.worker):
                instance.request_failures = 0
            instance.probe_failures = self.board.probe_failures(row)
            seen = self.board.seen(row)
            if faulty and instance.state == HEALTHY:
                self._isolate(instance)
                instance.watched_since = instance.changed_at
            elif instance.state == FAULTY and not faulty and epoch > instance.epoch:
                self._readmit(instance, self._clock())
            elif instance.state == EXPECTED and seen:
                self._arrive(instance, "answers")
            instance.epoch = max(instance.epoch, epoch)
            instance.seen = instance.seen or seen

    def tick(self) -> None:
        """Once a second or so. What waits for an instance that fails two probes more waits in vain.

        Only one worker probes; the others learn here what it found.
        """
        self.sync()
        long_ago = self._clock() - 2 * self.policy.probe_interval
        for instance in self:
            if instance.probe_failures and instance.watched_since < long_ago and self._is_lost(instance):
                self._end_silent(instance)
        super().tick()

    def _least(self, avoid: Iterable[Address]) -> Instance | None:
        if self._synced != self.board.changes():
            self.sync()
        avoided = set(avoid)
        found, lowest = None, math.inf
        for instance in self.instances.values():
            if instance.state == HEALTHY and (not avoided or instance.address not in avoided):
                load = sum(instance.loads) + instance.handicap
                if load < lowest or (load == lowest and found is not None and instance.picked < found.picked):
                    found, lowest = instance, load
        return found

    def queue(self, instance: Instance) -> float:
        """The load that all workers put on an instance."""
        return sum(instance.loads) + instance.handicap if instance.state == HEALTHY else math.inf

    def _failures(self, instance: Instance) -> int:
        row = instance.row
        self.board.set_failures(row, self.worker, instance.request_failures)
        if instance.probe_failures > self.board.probe_failures(row):
            self.board.set_probe_failures(row, instance.probe_failures)
        return self.board.failures(row) + self.board.probe_failures(row)

    def _isolate(self, instance: Instance) -> None:
        super()._isolate(instance)
        self.board.isolate(instance.row)

    def _expect(self, instance: Instance) -> None:
        self._claim(instance)
        super()._expect(instance)
        self._synced = -1
        instance.epoch = self.board.state(instance.row)[1]

    def _readmit(self, instance: Instance, now: float) -> None:
        super()._readmit(instance, now)
        row = instance.row
        faulty, epoch = self.board.state(row)
        if faulty:  # this worker probes: it found out first
            self.board.reset_failures(row)
            self.board.set_probe_failures(row, 0)
            self.board.readmit(row, max(instance.epoch, epoch + 1))
        instance.epoch = self.board.state(row)[1]

    def _insert(self, instance: Instance) -> None:
        self._claim(instance)
        super()._insert(instance)
        self._synced = -1

    def _claim(self, instance: Instance) -> None:
        """The row of a new instance."""
        instance.row = self.board.row(self.role, instance.address)
        instance.loads = self.board.loads(instance.row)

    def sweep(self) -> None:
        """Forget instances that have left, and that they were faulty."""
        for instance in self:
            if instance.state == LEAVING and not instance.active:
                self.board.set_load(instance.row, self.worker, 0)
                self.board.forget(instance.row)
        super().sweep()


def shared_pool(board: Board, worker: int) -> type[SharedPool]:
    """The pool of one worker."""
    board.worker = worker
    colleagues = Colleagues(board.choices, worker)
    known = {"board": board, "worker": worker, "colleagues": colleagues, "_by_row": {}, "_synced": -1}
    return type("WorkerPool", (SharedPool,), known)
