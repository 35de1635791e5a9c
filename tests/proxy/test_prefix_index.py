"""The index of prefixes against a naive one that remembers whole prompts, and how much memory it takes."""

from __future__ import annotations

import tracemalloc
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.fleet.prefix_index import RETIRED, PrefixIndex
from stormc_proxy.fleet.prompt_keys import chain_of

PROMPTS = st.text("ab", max_size=8)
HOLDERS = st.sampled_from("uvwxyz")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("remember"), PROMPTS, HOLDERS),
        st.tuples(st.just("forget"), st.just(""), HOLDERS),
        st.tuples(st.just("clear"), st.just(""), st.just("")),
    ),
    max_size=40,
)


def keys_of(prompt: str) -> list[int]:
    return chain_of(7, prompt)


def matches(index: PrefixIndex[str], prompt: str) -> dict[str, int]:
    return dict(index.matches(keys_of(prompt)))


@settings(max_examples=300, deadline=None)
@given(STEPS, PROMPTS)
def test_a_match_is_the_longest_beginning_that_a_holder_was_given(
    steps: list[tuple[str, str, str]], asked: str
) -> None:
    """The oracle keeps all beginnings of all prompts per holder, and never forgets for want of room."""
    index: PrefixIndex[str] = PrefixIndex(10_000)
    held: dict[str, set[str]] = {}
    for step, prompt, holder in steps:
        if step == "remember":
            index.remember(keys_of(prompt), holder)
            held.setdefault(holder, set()).update(prompt[:end] for end in range(1, len(prompt) + 1))
        elif step == "forget":
            index.forget(holder)
            held.pop(holder, None)
        else:
            index.clear()
            held.clear()
    expected = {
        holder: len(list(takewhile(beginnings.__contains__, (asked[:end] for end in range(1, len(asked) + 1)))))
        for holder, beginnings in held.items()
    }
    found = list(index.matches(keys_of(asked)))
    assert dict(found) == {holder: depth for holder, depth in expected.items() if depth}
    assert [depth for _, depth in found] == sorted((depth for _, depth in found), reverse=True), "the longest first"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(PROMPTS, HOLDERS), max_size=40), st.integers(1, 12))
def test_what_was_used_last_stays_and_a_beginning_longer_than_its_end(steps: list[tuple[str, str]], limit: int) -> None:
    """The oracle is a list of beginnings, the last used one at its end."""
    index: PrefixIndex[str] = PrefixIndex(limit)
    used: list[str] = []
    holders: dict[str, set[str]] = {}
    for prompt, holder in steps:
        index.remember(keys_of(prompt), holder)
        for end in range(len(prompt), 0, -1):
            beginning = prompt[:end]
            used = [*(other for other in used if other != beginning), beginning]
            holders.setdefault(beginning, set()).add(holder)
        for forgotten in used[:-limit]:
            del holders[forgotten]
        used = used[-limit:]
        assert len(index) == len(used) <= limit
    for asked in {prompt for prompt, _ in steps}:
        for holder, depth in matches(index, asked).items():
            assert all(holder in holders[asked[:end]] for end in range(1, depth + 1))
            assert depth == len(asked) or holder not in holders.get(asked[: depth + 1], ())


def test_bits_of_forgotten_holders_are_used_again() -> None:
    """Masks stay as short as the fleet, however often instances come and go."""
    index: PrefixIndex[str] = PrefixIndex(1000)
    for number in range(50 * RETIRED):
        name = f"instance {number}"
        index.remember(keys_of("ab"), name)
        assert matches(index, "ab") == {name: 2}
        index.forget(name)
        assert matches(index, "ab") == {}
    assert index.size_bytes < 1000


def test_a_forgotten_holder_starts_anew() -> None:
    index: PrefixIndex[str] = PrefixIndex(1000)
    index.remember(keys_of("abab"), "x")
    index.remember(keys_of("ab"), "y")
    index.forget("x")
    index.forget("x")
    assert matches(index, "abab") == {"y": 2}
    index.remember(keys_of("a"), "x")
    assert matches(index, "abab") == {"y": 2, "x": 1}, "what it held before is not back with its name"


@pytest.mark.parametrize("holders", [4, 512])
def test_memory_is_bounded_and_known(holders: int) -> None:
    limit = 20_000
    tracemalloc.start()
    try:
        index: PrefixIndex[int] = PrefixIndex(limit)
        half = 0
        for number in range(6 * limit // 20):
            if number == 3 * limit // 20:
                half = tracemalloc.get_traced_memory()[0]
            index.remember(chain_of(number, "abcdefghijklmnopqrst"), number % holders)
        whole = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(index) == limit
    assert whole < 1.05 * half, "three times as many prompts take no more memory"
    assert whole < 1.2 * index.size_bytes < 350 * limit


def test_among_equals_the_favourite_comes_first() -> None:
    index: PrefixIndex[str] = PrefixIndex(100)
    for holder in "abc":
        index.remember([1, 2], holder)
    index.remember([1, 2, 3], "c")
    assert next(index.matches([1, 2], "b")) == ("b", 2)
    found = list(index.matches([1, 2, 3], "b"))
    assert found[:2] == [("c", 3), ("b", 2)] and sorted(found) == sorted(index.matches([1, 2, 3]))
    assert sorted(index.matches([1], "stranger")) == [("a", 1), ("b", 1), ("c", 1)]
