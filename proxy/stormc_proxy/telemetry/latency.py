"""How long things took in the last minutes: counts in steps of 9 %, which add up over workers and give percentiles."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping

SHORTEST, STEPS_PER_DOUBLING = 0.0001, 8
MINUTES = 5


class Recent:
    """Durations of the last five minutes; the oldest minute is dropped as a whole."""

    def __init__(self) -> None:
        """Has counted nothing yet."""
        self._minutes: deque[Counter[int]] = deque([Counter()], maxlen=MINUTES)

    def observe(self, seconds: float) -> None:
        """Count one duration in the current minute."""
        doublings = math.log2(max(seconds, SHORTEST) / SHORTEST)
        self._minutes[-1][round(doublings * STEPS_PER_DOUBLING)] += 1

    def next_minute(self) -> None:
        """Begin another minute; the oldest one is forgotten."""
        self._minutes.append(Counter())

    def counts(self) -> dict[str, int]:
        """How many fell on each step; JSON has only texts as keys."""
        whole: Counter[int] = Counter()
        for minute in self._minutes:
            whole.update(minute)
        return {str(step): count for step, count in whole.items()}


def summed(counts: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    """The counts of two workers, added up."""
    return {step: counts.get(step, 0) + others.get(step, 0) for step in {*counts, *others}}


def percentile(counts: Mapping[str, int], percent: float) -> float | None:
    """Seconds within which so many percent were done, to 5 %; None when there was nothing."""
    count_left = sum(counts.values()) * percent / 100
    for step in sorted(map(int, counts)):
        count_left -= counts[str(step)]
        if count_left <= 0:
            return float(SHORTEST * 2 ** (step / STEPS_PER_DOUBLING))
    return None
