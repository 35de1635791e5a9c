"""What the workers of one proxy tell each other about prefixes: a ring in shared memory for each, with one writer.

Nobody waits for anybody: a reader that falls behind by a whole ring misses what was overwritten, and one that reads
while an entry is written may take wrong keys for right ones. Both only send a prompt to an instance that has less of it
than another has.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from typing import NamedTuple

CELLS = 1 << 16
"""Size of a ring, in cells of 8 bytes: enough for some two thousand prompts of 48 KB."""

_HEAD = 4
"""Cells of an entry before its keys: position, number << 32 | how many keys, session, size."""

_PADDING = -1
"""In the place of an instance's number where nothing more follows in this lap of the ring."""


class Choice(NamedTuple):
    """A prompt that went to an instance; without keys and session: the instance has nothing any more."""

    number: int
    """The instance's number, the same in all workers."""
    session: int
    size: int
    keys: list[int]


class ChoiceLog:
    """The rings of all workers. Made before they are forked."""

    def __init__(self, workers: int, cells: int = CELLS) -> None:
        """Rings without entries, of `cells` cells for each worker."""
        self.workers, self.cells = workers, cells
        memory = memoryview(mmap.mmap(-1, workers * (1 + cells) * 8)).cast("q")
        self.counts = [memory[worker * (1 + cells) :][:1] for worker in range(workers)]
        """A cell for each worker: how many cells it has ever written."""
        self._rings = [memory[worker * (1 + cells) + 1 :][:cells] for worker in range(workers)]

    def write(self, worker: int, choice: Choice) -> None:
        """Append an entry; keys that are longer than the ring are cut. Every lap begins with an entry."""
        ring, position = self._rings[worker], self.counts[worker][0]
        keys = choice.keys[: self.cells - _HEAD]
        length = _HEAD + len(keys)
        cells_left = self.cells - position % self.cells
        if cells_left < length:
            if cells_left >= _HEAD:
                ring[-cells_left : -cells_left + _HEAD or None] = array("q", (position, _PADDING, 0, 0))
            position, cells_left = position + cells_left, self.cells
        start = self.cells - cells_left
        head = (position, choice.number << 32 | len(keys), choice.session, choice.size)
        ring[start : start + length] = array("q", (*head, *keys))
        self.counts[worker][0] = position + length

    def read(self, worker: int, position: int) -> tuple[int, Choice | None]:
        """The entry at `position`, if there is one, and where the next one is."""
        ring, end = self._rings[worker], self.counts[worker][0]
        start = position % self.cells
        cells_left = self.cells - start
        if end - position > self.cells:  # overwritten meanwhile: on with the current lap
            return end - end % self.cells, None
        if cells_left < _HEAD or ring[start + 1] == _PADDING:
            return position + cells_left, None
        number, length = ring[start + 1] >> 32, _HEAD + (ring[start + 1] & 0xFFFFFFFF)
        if ring[start] != position or length > cells_left:
            return end, None
        keys = ring[start + _HEAD : start + length].tolist()
        return position + length, Choice(number, ring[start + 2], ring[start + 3], keys)


class OtherWorkers:
    """One worker's view of the log: it writes its own choices, and reads those of the others."""

    def __init__(self, log: ChoiceLog, worker: int) -> None:
        """Begins with what is left of each one's current lap, so that a worker that replaces a dead one knows it."""
        self._log, self._worker = log, worker
        self._positions = {
            other: log.counts[other][0] // log.cells * log.cells for other in range(log.workers) if other != worker
        }

    def share(self, choice: Choice) -> None:
        """Write a choice of this worker, for the others to read."""
        self._log.write(self._worker, choice)

    def new_choices(self) -> Iterator[Choice]:
        """Choices that the others wrote since the last call."""
        counts = self._log.counts
        for other, position in self._positions.items():
            while position < counts[other][0]:
                position, choice = self._log.read(other, position)
                self._positions[other] = position
                if choice is not None:
                    yield choice
