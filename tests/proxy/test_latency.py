"""Percentiles of the last minutes, against the sorted list of what was observed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.telemetry.latency import MINUTES, Recent, percentile, summed

SECONDS = st.lists(st.floats(0.001, 100), min_size=1, max_size=50)


@settings(max_examples=200, deadline=None)
@given(SECONDS, SECONDS, st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_right_to_five_percent_over_workers(
    ours: list[float], theirs: list[float], percent: int
) -> None:
    workers = Recent(), Recent()
    for recent, observed in zip(workers, (ours, theirs), strict=True):
        for seconds in observed:
            recent.observe(seconds)
    everything = sorted(ours + theirs)
    expected = everything[-(-len(everything) * percent // 100) - 1]
    found = percentile(summed(workers[0].counts(), workers[1].counts()), percent)
    assert found == pytest.approx(expected, rel=0.05)


def test_old_minutes_are_forgotten() -> None:
    recent = Recent()
    recent.observe(0.0)
    recent.observe(5.0)
    for _ in range(MINUTES - 1):
        recent.next_minute()
    assert sum(recent.counts().values()) == 2
    recent.next_minute()
    assert percentile(recent.counts(), 50) is None
