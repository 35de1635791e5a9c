"""One piece of work for each of many apps, in several processes.

A forked worker inherits what it works on; only the index of an app and its result cross the pipe. That is what the
module's one variable is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")

PARALLEL_FROM = 64
"""Below this many apps the start of processes costs more than it saves."""

_TURNS, _CHUNK = 24, 32
"""How often a worker takes apps, and how many at most: few, so that none works alone at the end; each time costs."""


def work_all(work: Callable[[Item], Result], items: Sequence[Item], jobs: int, progress: Progress) -> list[Result]:
    """The results for all items, in their order; with several jobs in as many processes."""
    results = []
    for result in _results(work, items, jobs):
        results.append(result)
        progress(len(results), len(items))
    return results


def _results(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    if jobs <= 1 or len(items) < PARALLEL_FROM:
        yield from map(work, items)
        return
    import multiprocessing  # as dear as reading a spec, and of use from PARALLEL_FROM on

    yield work(items[0])  # what the first app loads and builds, workers inherit
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, _start_worker, (work, items)) as pool:
        yield from pool.imap(_work, range(1, len(items)), min(_CHUNK, len(items) // (jobs * _TURNS) + 1))


_inherited: tuple[Callable[[Any], Any], Sequence[Any]]


def _start_worker(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    global _inherited
    _inherited = (work, items)


def _work(index: int) -> Any:
    work, items = _inherited
    return work(items[index])
