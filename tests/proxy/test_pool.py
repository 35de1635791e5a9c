"""Isolation on a clock of its own, step by step as the seed has it; and what holds after any sequence of steps."""

from __future__ import annotations

import math

import pytest

from stormc_proxy.fleet.instance import EXPECTED, FAULTY, HEALTHY, LEAVING, SCALE, decode_load, prefill_load
from stormc_proxy.settings import Address
from tests.proxy.scene import A, B, C, Exchange, Scene

STEPS: tuple[tuple[str, str, list[tuple[int, str]]], ...] = (
    # f: a request fails, F: a probe fails, s: a request is answered, p: a probe succeeds
    ("four failures isolate, three do not", "ffff", [(0, "healthy"), (3, "healthy"), (4, "faulty")]),
    ("failed probes count alike", "FFFF", [(3, "healthy"), (4, "faulty")]),
    ("both add up", "fFfF", [(3, "healthy"), (4, "faulty")]),
    ("an answered request resets the count", "fffsffff", [(4, "healthy"), (7, "healthy"), (8, "faulty")]),
    ("an answered request does not take failed probes back", "FFFsF", [(4, "healthy"), (5, "faulty")]),
    ("failing probes isolate an instance that still answers", "FsFsFsFs", [(6, "healthy"), (7, "faulty")]),
    ("a probe takes failed probes back", "FFFpFFFF", [(7, "healthy"), (8, "faulty")]),
    ("a probe does not take failed requests back", "fffpf", [(4, "healthy"), (5, "faulty")]),
    ("only a probe ends a fault", "ffffssss", [(4, "faulty"), (8, "faulty")]),
    ("one probe ends a fault", "ffffp", [(4, "faulty"), (5, "healthy")]),
    ("after a fault the count starts from zero", "ffffpfffpf", [(5, "healthy"), (8, "healthy"), (10, "faulty")]),
    ("failures while faulty change nothing", "ffffffffp", [(8, "faulty"), (9, "healthy")]),
    ("flapping", "FFFFpFFFFpFFFF", [(4, "faulty"), (5, "healthy"), (9, "faulty"), (10, "healthy"), (14, "faulty")]),
)
CUMULATIVE: tuple[tuple[str, str, list[tuple[int, str]]], ...] = (
    ("no success resets the count", "fsfspfsF", [(7, "healthy"), (8, "faulty")]),
    ("nor takes a probe failed probes back", "FpFpFpF", [(6, "healthy"), (7, "faulty")]),
    ("a probe ends a fault all the same", "ffffp", [(5, "healthy")]),
    ("with the count at zero", "ffffpfff", [(8, "healthy")]),
)


@pytest.mark.parametrize(("steps", "states"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])
def test_the_rule(steps: str, states: list[tuple[int, str]]) -> None:
    assert _walk(Scene(A, B), steps, states)


@pytest.mark.parametrize(("steps", "states"), [row[1:] for row in CUMULATIVE], ids=[row[0] for row in CUMULATIVE])
def test_the_literal_rule(steps: str, states: list[tuple[int, str]]) -> None:
    assert _walk(Scene(A, B, cumulative=True), steps, states)


def _walk(scene: Scene, steps: str, states: list[tuple[int, str]]) -> bool:
    expected = dict(states)
    for number, step in enumerate(steps, 1):
        scene.now += 1
        if step in "fs":
            scene.pool.failed(scene[A]) if step == "f" else scene.pool.succeeded(scene[A])
        else:
            scene.pool.probed(scene[A], step == "p")
        state = scene[A].state
        assert state == expected.get(number, state), f"after {steps[:number]}"
        assert math.isinf(scene[A].score) == (state == FAULTY)
        assert scene[B].state == HEALTHY
    return True


@pytest.mark.parametrize("limit", [0, 1, 3, 10])
def test_the_threshold_is_exceeded_not_reached(limit: int) -> None:
    scene = Scene(A, B, max_failures=limit)
    scene.fail(A, limit)
    assert scene[A].state == HEALTHY
    scene.fail(A)
    assert scene[A].state == FAULTY and scene.told == [(0, "isolated", "1")]


def test_a_faulty_instance_gets_nothing_and_comes_back_at_zero() -> None:
    scene = Scene(A, B)
    assert scene.picks(4) == "1212"
    scene.fail(A, 4)
    assert scene.picks(3) == "222"
    assert math.isinf(scene[A].score) and scene.pool.usable == 1
    scene.probe(A, True)
    assert (scene[A].score, scene[A].failures, scene[A].state) == (0.0, 0, HEALTHY)
    assert scene.picks(5) == "11111", "its load starts at zero, theirs is five"
    assert scene.told == [(0, "isolated", "1"), (0, "readmitted", "1")]


def test_when_all_are_faulty_there_is_none() -> None:
    scene = Scene(A, B)
    for address in (A, B):
        scene.fail(address, 4)
    assert not scene.pool.available() and scene.pick() == "-" and not scene.pool.ready
    scene.probe(B, True)
    assert scene.pool.available() and scene.pick() == "2" and scene.pool.ready


def test_releases_from_before_a_reset_do_not_corrupt_the_score() -> None:
    scene = Scene(A)
    old = scene.pool.pick(5 * SCALE)
    assert old is not None and scene[A].score == 5
    scene.fail(A, 4)
    scene.probe(A, True)
    new = scene.pool.pick(7 * SCALE)
    assert new is not None and scene[A].score == 7
    old.release()
    old.release()
    assert (scene[A].score, scene[A].active, scene[A].epoch) == (7, 1, 1)
    new.release()
    new.release()
    assert (scene[A].score, scene[A].active) == (0, 0)


def test_a_release_while_faulty_counts_before_the_reset_only() -> None:
    scene = Scene(A, B)
    lease = scene.pool.pick(SCALE)
    assert lease is not None
    scene.fail(A, 4)
    lease.release()
    assert scene[A].load == 0 and scene.pick() == "2", "a release does not bring a faulty instance back"


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_the_least_loaded_is_picked_and_ties_go_to_the_least_recently_picked() -> None:
    scene = Scene(A, B, C)
    assert scene.picks(6) == "123123"
    for lease in scene.leases:
        lease.release()
    scene.leases.clear()
    assert scene.pick(3 * SCALE) + scene.pick(2 * SCALE) + scene.pick(SCALE) == "123"
    assert scene.picks(3) == "323", "3 has the least; then 2 and 3 are even and 2 was picked longer ago; then 3"


def test_sequential_requests_do_not_all_go_to_the_first() -> None:
    scene = Scene(A, B, C)
    found = []
    for _ in range(6):
        found.append(scene.pick())
        scene.leases.pop().release()
    assert "".join(found) == "123123"


def test_what_is_to_be_avoided_stays_in_the_heap() -> None:
    scene = Scene(A, B, C)
    assert scene.pick(avoid=[A, B]) == "3"
    assert scene.pick(avoid=[A, B, C]) == "-"
    assert scene.picks(2) == "12"
    assert scene.pool.other({A, B}) and not scene.pool.other({A, B, C})


@pytest.mark.parametrize(("length", "mode", "points"), [
    (0, "layerwise", 1.3 * 120.0745), (4000, "layerwise", 1.3 * (1000 * 0.0345 + 120.0745)),
    (0, "standard", 0.3 * 120.0745), (800_000, "standard", 0.3 * (200_000 * 0.0345 + 120.0745)),
])  # fmt: skip
def test_the_scores_are_those_of_the_examples(length: int, mode: str, points: float) -> None:
    assert prefill_load(length, mode) / SCALE == pytest.approx(points, rel=1e-9)
    assert decode_load(length) / SCALE == length


# -- options -----------------------------------------------------------------------------------------------------------


def test_slow_start() -> None:
    scene = Scene(A, B, slow_start=10.0)
    loads = [scene.pool.pick(SCALE) for _ in range(20)]
    assert all(loads)
    scene.fail(A, 4)
    scene.probe(A, True)
    assert scene[A].load == 0 and scene.picks(4) == "1212", "as if it had the load of the busiest"
    shares = []
    for second in range(1, 13):
        scene.now = float(second)
        scene.pool.tick()
        shares.append(scene[A].load + scene[A].handicap)
    assert shares == sorted(shares, reverse=True) and scene[A].handicap == 0, "less and less, and nothing at the end"
    assert scene.picks(5) == "11111"


def test_no_slow_start_when_nobody_else_is_there() -> None:
    scene = Scene(A, slow_start=10.0)
    scene.fail(A, 4)
    scene.probe(A, True)
    assert scene[A].handicap == 0 and scene.pick() == "1"


def test_back_off_doubles_for_what_keeps_failing() -> None:
    scene = Scene(A, B, max_backoff=30.0, probe_interval=5.0)
    waits = []
    for _ in range(5):
        scene.fail(A, 4)
        began = scene.now
        while scene[A].state == FAULTY:
            scene.now += 1
            scene.probe(A, True)
        waits.append(scene.now - began)
    assert waits == [5, 10, 20, 30, 30]


def test_back_off_forgets_after_a_good_time() -> None:
    scene = Scene(A, B, max_backoff=30.0, probe_interval=5.0)
    for _ in range(3):
        scene.fail(A, 4)
        scene.now += 30
        scene.probe(A, True)
    scene.now += 301
    scene.fail(A, 4)
    scene.now += 5
    scene.probe(A, True)
    assert scene[A].state == HEALTHY


@pytest.mark.parametrize(("percent", "isolated"), [(100, 3), (67, 2), (66, 1), (50, 1), (34, 1), (33, 0), (0, 0)])
def test_a_share_stays(percent: int, isolated: int) -> None:
    scene = Scene(A, B, C, max_isolated_percent=percent)
    for address in (A, B, C):
        scene.fail(address, 9)
    assert sum(1 for instance in scene.pool if instance.state == FAULTY) == isolated
    assert scene.pool.usable == 3 - isolated


def test_what_could_not_be_isolated_is_judged_again_at_its_next_failure() -> None:
    scene = Scene(A, B, max_isolated_percent=50)
    scene.fail(A, 4)
    scene.fail(B, 4)
    scene.probe(A, True)
    assert (scene[A].state, scene[B].state) == (HEALTHY, HEALTHY)
    scene.fail(B)
    assert scene[B].state == FAULTY


def test_panic_tries_the_faulty_only_when_no_other_is_left() -> None:
    scene = Scene(A, B, panic=True)
    scene.fail(A, 5)
    assert scene.picks(3) == "222"
    scene.fail(B, 4)
    assert scene.pool.available()
    for lease in scene.leases:
        lease.release()
    assert scene.picks(2) == "21", "the fewest failures first, then the less busy"
    assert scene.pick(avoid=[A, B]) == "-"
    assert math.isinf(scene[A].score), "trying is not readmitting"


# -- what runs at a faulty instance ------------------------------------------------------------------------------------


def test_isolation_by_probes_ends_what_has_been_silent_since() -> None:
    scene = Scene(A, B)
    scene.now = 10.0
    silent, talking = Exchange(heard=9.0), Exchange(heard=9.0)
    scene[A].exchanges |= {silent, talking}
    for second in (10.0, 15.0, 20.0):
        scene.now = second
        talking.heard = second + 1
        scene.probe(A, False)
    assert not silent.ended
    scene.now = 25.0
    scene.probe(A, False)
    assert scene[A].state == FAULTY
    assert silent.ended and not talking.ended, "a stream that flows is no fault"
    talking.heard = 24.0
    scene.now = 30.0
    scene.probe(A, False)
    assert talking.ended, "it stopped before the isolation"


def test_what_begins_at_an_instance_that_was_just_isolated_ends_too() -> None:
    scene = Scene(A, B)
    for second in (5.0, 10.0, 15.0, 20.0):
        scene.now = second
        scene.probe(A, False)
    assert scene[A].state == FAULTY
    late = Exchange(heard=20.001)  # chosen before the probe, connected after it
    scene[A].exchanges.add(late)
    scene.now = 25.0
    scene.probe(A, False)
    assert not late.ended, "it may still be answered"
    scene.now = 30.0
    scene.probe(A, False)
    assert late.ended


def test_a_stream_that_falls_silent_after_the_isolation_ends_too() -> None:
    scene = Scene(A, B)
    scene.fail(A, 4)
    stream = Exchange(heard=0.0)
    scene[A].exchanges.add(stream)
    for second, heard, ended in ((5.0, 4.0, False), (10.0, 9.0, False), (15.0, 9.0, True)):
        scene.now, stream.heard = second, heard
        scene.probe(A, False)
        assert bool(stream.ended) == ended, second


def test_what_is_tried_at_a_faulty_instance_on_purpose_goes_on() -> None:
    scene = Scene(A, panic=True)
    for second in (5.0, 10.0, 15.0, 20.0):
        scene.now = second
        scene.probe(A, False)
    tried = Exchange(heard=21.0)
    scene[A].exchanges.add(tried)
    for second in (25.0, 30.0, 35.0):
        scene.now = second
        scene.probe(A, False)
    assert not tried.ended


def test_an_instance_that_leaves_and_dies_ends_what_runs_there() -> None:
    scene = Scene(A, B)
    assert scene.picks(1) == "1"
    scene.pool.remove(A)
    waits = Exchange(heard=1.0)
    scene[A].exchanges.add(waits)
    for second in (5.0, 10.0, 15.0):
        scene.now = second
        scene.probe(A, False)
    scene.probe(A, True)
    for second in (20.0, 25.0, 30.0):
        scene.now = second
        scene.probe(A, False)
    assert not waits.ended, "a probe that succeeds takes the failed ones back"
    scene.now = 35.0
    scene.probe(A, False)
    assert waits.ended and scene[A].state == LEAVING


# -- topology ----------------------------------------------------------------------------------------------------------


def test_leaving_takes_no_more_and_goes_when_it_is_done() -> None:
    scene = Scene(A, B)
    assert scene.picks(2) == "12"
    scene.pool.remove(A)
    assert scene[A].state == LEAVING and scene.picks(2) == "22"
    scene.pool.sweep()
    assert A in scene.pool.instances, "it still answers"
    scene.leases[0].release()
    scene.pool.sweep()
    assert A not in scene.pool.instances
    assert [event for _, event, _ in scene.told] == ["leaving", "removed"]
    scene.leases[0].release()


def test_leaving_is_not_judged_and_not_readmitted() -> None:
    scene = Scene(A, B)
    scene.pick()
    scene.pool.remove(A)
    scene.fail(A, 9)
    scene.probe(A, True)
    assert scene[A].state == LEAVING and scene.pool.usable == 1


def test_replace_adds_drains_and_keeps() -> None:
    scene = Scene(A, B)
    scene.fail(B, 2)
    assert scene.pick() == "1"
    scene.pool.replace([B, C])
    assert (scene[A].state, scene[B].failures, scene[C].state) == (LEAVING, 2, HEALTHY)
    scene.pool.replace([A, C])
    assert scene[A].state == HEALTHY and scene[A].load == SCALE, "back before it was gone, with what it still runs"
    assert B not in scene.pool.instances
    assert scene.picks(3) == "313"


def test_a_new_instance_beside_working_ones_waits_for_its_probe() -> None:
    scene = Scene(A)
    scene.probe(A, True)
    scene.pool.replace([A, B])
    assert scene[B].state == EXPECTED and scene.picks(3) == "111"
    scene.probe(B, False, 9)
    assert scene[B].state == EXPECTED, "one that loads its model is not faulty"
    scene.probe(B, True)
    assert scene[B].state == HEALTHY and scene.pick() == "2"
    scene.pool.replace([C])
    assert scene.pick() == "3", "with nobody else to wait for, it is tried at once"


def test_an_isolated_instance_can_leave_and_return() -> None:
    scene = Scene(A, B)
    scene.pick()
    scene.fail(A, 4)
    assert scene.pool.usable == 1
    scene.pool.remove(A)
    assert scene.pool.usable == 1
    scene.pool.add(A)
    assert scene.pool.usable == 2 and scene[A].state == HEALTHY


# -- after any steps ---------------------------------------------------------------------------------------------------


def test_the_heap_stays_small_under_load() -> None:
    scene = Scene(*(Address(f"10.1.0.{number}", 1) for number in range(32)))
    for _ in range(20_000):
        lease = scene.pool.pick(SCALE)
        assert lease is not None
        scene.leases.append(lease)
        if len(scene.leases) > 100:
            scene.leases.pop(0).release()
    assert len(scene.pool._heap) <= 64 + 4 * 32
    loads = [instance.load // SCALE for instance in scene.pool]
    assert max(loads) - min(loads) <= 1
