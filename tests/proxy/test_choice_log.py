"""What workers tell each other arrives in order and whole, whatever its length, and nobody who is late stumbles."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.fleet.choice_log import Choice, ChoiceLog, OtherWorkers

NUMBERS = st.integers(0, 2**31 - 1)
WORDS = st.integers(-(2**63), 2**63 - 1)
CHOICES = st.builds(Choice, NUMBERS, WORDS, st.integers(0, 2**40), st.lists(WORDS, max_size=20))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), CHOICES, st.booleans()), max_size=40), st.integers(56, 120))
def test_a_reader_that_keeps_up_hears_everything_once(steps: list[tuple[int, Choice, bool]], cells: int) -> None:
    log = ChoiceLog(3, cells)
    workers = [OtherWorkers(log, number) for number in range(3)]
    for writer, choice, _ in steps:
        workers[writer].share(choice)
        for number, worker in enumerate(workers):
            assert list(worker.new_choices()) == ([choice] if number != writer else [])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(CHOICES, st.booleans()), max_size=60), st.integers(56, 120))
def test_one_that_is_late_hears_a_part_in_order_and_then_keeps_up(steps: list[tuple[Choice, bool]], cells: int) -> None:
    log = ChoiceLog(2, cells)
    writer, reader = OtherWorkers(log, 0), OtherWorkers(log, 1)
    missed: list[Choice] = []
    for choice, listens in steps:
        writer.share(choice)
        missed.append(choice)
        if listens:
            heard = list(reader.new_choices())
            rest = iter(missed)
            assert all(any(told == each for told in rest) for each in heard), "nothing that was not told, in order"
            missed.clear()
    list(reader.new_choices())
    last = Choice(1, 2, 3, [4, 5])
    writer.share(last)
    assert list(reader.new_choices()) == [last]


def test_a_new_worker_learns_what_is_left_of_the_lap() -> None:
    log = ChoiceLog(2, 100)
    writer = OtherWorkers(log, 0)
    for number in range(47):
        writer.share(Choice(number, 0, 9, [1, 2, 3, 4, 5, 6]))
    told = [choice.number for choice in OtherWorkers(log, 1).new_choices()]
    assert told == list(range(47 - len(told), 47)) and 1 <= len(told) <= 10


def test_keys_that_are_longer_than_a_ring_are_cut() -> None:
    log = ChoiceLog(2, 50)
    writer, reader = OtherWorkers(log, 0), OtherWorkers(log, 1)
    writer.share(Choice(7, 0, 9, list(range(100))))
    assert list(reader.new_choices()) == [Choice(7, 0, 9, list(range(46)))]


def test_processes_hear_each_other() -> None:
    log = ChoiceLog(2)
    child = os.fork()
    if not child:
        OtherWorkers(log, 1).share(Choice(3, -5, 6, [7]))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert list(OtherWorkers(log, 0).new_choices()) == [Choice(3, -5, 6, [7])]
