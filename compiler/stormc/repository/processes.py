"""Compiling many apps in several processes.

A forked worker inherits what it works on; only the index of an app and its result cross the pipe. That is what the
module's one variable is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stormc.compile.compilation import Compilation
from stormc.load.sources import Source

Compile = Callable[[Source], Compilation]
Progress = Callable[[int, int], None]

PARALLEL_FROM = 64
"""Below this many apps the start of processes costs more than it saves."""


def compile_all(compile_one: Compile, sources: Sequence[Source], jobs: int, progress: Progress) -> list[Compilation]:
    """The results of some apps, in their order; with several jobs in as many processes."""
    results = []
    for result in _results(compile_one, sources, jobs):
        results.append(result)
        progress(len(results), len(sources))
    return results


def _results(compile_one: Compile, sources: Sequence[Source], jobs: int) -> Iterator[Compilation]:
    if jobs <= 1 or len(sources) < PARALLEL_FROM:
        for source in sources:
            yield compile_one(source).result()
        return
    import multiprocessing  # as dear as reading a spec, and of use from PARALLEL_FROM on

    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, _start_worker, (compile_one, sources)) as pool:
        yield from pool.imap(_work, range(len(sources)), chunksize=16)


_inherited: tuple[Compile, Sequence[Source]]


def _start_worker(compile_one: Compile, sources: Sequence[Source]) -> None:
    global _inherited
    _inherited = (compile_one, sources)


def _work(index: int) -> Compilation:
    compile_one, sources = _inherited
    return compile_one(sources[index]).result()
