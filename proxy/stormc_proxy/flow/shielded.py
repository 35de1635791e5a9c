"""Waiting for work that its caller's end does not end: what `asyncio.shield` does for a task, without a task.

A task costs twice what this does, and the end of the caller is rare: a client that leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Shielded(Generic[Result]):
    """To be awaited once. When whoever awaits it is cancelled, `left` gets the rest of the work."""

    __slots__ = ("_left", "_work")

    def __init__(
        self, work: Coroutine[Any, Any, Result], left: Callable[[Coroutine[Any, Any, Result]], object]
    ) -> None:
        """Nothing runs before it is awaited."""
        self._work, self._left = work, left

    def __await__(self) -> Generator[Any, None, Result]:
        """The work's result. It waits for futures of its own, so that a cancellation ends them and no others."""
        work = self._work
        try:
            while True:
                awaited = work.send(None)
                if awaited is None:
                    yield None
                    continue
                awaited_done = awaited.get_loop().create_future()
                awaited.add_done_callback(
                    lambda _, awaited_done=awaited_done: awaited_done.done() or awaited_done.set_result(None)
                )
                try:
                    yield from awaited_done
                except asyncio.CancelledError:
                    self._left(_rest(work, awaited))
                    raise
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]


async def _rest(work: Coroutine[Any, Any, Result], awaited: asyncio.Future[Any]) -> Result:
    """What is left of work that waits for `awaited`; a cancellation reaches it now."""
    return await _Rest(work, awaited)


class _Rest(Generic[Result]):
    """Work in the middle, driven on as `await` would."""

    def __init__(self, work: Coroutine[Any, Any, Result], awaited: asyncio.Future[Any]) -> None:
        self._work, self._awaited = work, awaited

    def __await__(self) -> Generator[Any, None, Result]:
        work, awaited = self._work, self._awaited
        try:
            while True:
                try:
                    yield awaited
                except GeneratorExit:
                    work.close()
                    raise
                except BaseException as error:  # a cancellation, or what the awaited future failed with
                    awaited = work.throw(error)
                else:
                    awaited = work.send(None)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
