"""What the instances have computed lately: prefix keys, and for each of them who holds its KV cache.

A dictionary from key to a bit mask of holders, bounded in keys, least recently used ones out first; a whole walk down
a prompt is a few dictionary look-ups and bit operations, whatever the number of instances.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

Holder = TypeVar("Holder", bound=Hashable)

RETIRED = 64
"""Forgotten holders whose bits may stand in masks before all masks are cleaned, so that masks stay short."""


class PrefixIndex(Generic[Holder]):
    """Key → holders. All operations take time in proportion to the keys they are given, not to the fleet."""

    def __init__(self, limit: int) -> None:
        """An index without keys, which never holds more than `limit`."""
        self.limit = limit
        self._masks: OrderedDict[int, int] = OrderedDict()
        self._bits: dict[Holder, int] = {}
        self._holders: list[Holder | None] = []
        self._free: list[int] = []
        self._live = self._retired = 0

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._masks)

    @property
    def size_bytes(self) -> int:
        """Memory that the index takes: the table, and an integer for each key and for each mask."""
        number = sys.getsizeof(1 << 62)
        mask = sys.getsizeof(1 << max(len(self._holders), 1))
        return sys.getsizeof(self._masks) + len(self._masks) * (number + mask)

    def matches(self, keys: Iterable[int], first: Holder | None = None) -> Iterator[tuple[Holder, int]]:
        """Holders of the first key, and how many keys from the beginning on each holds; the longest match first.

        Of those that hold equally many, `first` comes first.
        """
        alive, depth, matches = self._live, 0, []
        find = self._masks.get
        for key in keys:
            holding = find(key, 0) & alive
            if holding != alive:
                if depth:
                    matches.append((alive & ~holding, depth))
                alive = holding
                if not alive:
                    break
            depth += 1
        if alive and depth:
            matches.append((alive, depth))
        holders = self._holders
        favourite = 1 << self._bits[first] if first is not None and first in self._bits else 0
        for mask, depth in reversed(matches):
            if mask & favourite and first is not None:
                mask ^= favourite
                yield first, depth
            while mask:
                holder = holders[mask.bit_length() - 1]
                mask ^= 1 << mask.bit_length() - 1
                assert holder is not None
                yield holder, depth

    def remember(self, keys: Sequence[int], holder: Holder) -> None:
        """`holder` computes these keys now. Of one prompt the end is forgotten before the beginning, as engines do."""
        bit = 1 << (self._bits[holder] if holder in self._bits else self._bit(holder))
        masks, move = self._masks, self._masks.move_to_end
        find = masks.get
        for key in reversed(keys):
            masks[key] = find(key, 0) | bit
            move(key)
        for _ in range(len(masks) - self.limit):
            masks.popitem(last=False)

    def forget(self, holder: Holder) -> None:
        """`holder` holds nothing any more: it failed, restarted or left."""
        bit = self._bits.pop(holder, None)
        if bit is None:
            return
        self._holders[bit] = None
        self._live &= ~(1 << bit)
        self._retired += 1
        if self._retired >= RETIRED:
            self._clean()

    def clear(self) -> None:
        """Nobody holds anything any more."""
        self._masks.clear()
        self._clean()

    def _bit(self, holder: Holder) -> int:
        if self._free:
            bit = self._free.pop()
            self._holders[bit] = holder
        else:
            bit = len(self._holders)
            self._holders.append(holder)
        self._bits[holder] = bit
        self._live |= 1 << bit
        return bit

    def _clean(self) -> None:
        """Take the bits of forgotten holders out of all masks, and give them free."""
        live = self._live
        cleaned = OrderedDict((key, mask & live) for key, mask in self._masks.items() if mask & live)
        self._masks = cleaned
        self._free = [bit for bit, holder in enumerate(self._holders) if holder is None]
        self._retired = 0
