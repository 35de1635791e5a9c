"""Waiting for work that the caller's end does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from stormc_proxy.flow.shielded import Shielded


class Work:
    """Three waits, of which each step is noted."""

    def __init__(self) -> None:
        self.steps, self.rests = list[str](), list[Coroutine[Any, Any, str]]()
        self.gate = asyncio.get_running_loop().create_future()

    async def run(self) -> str:
        try:
            await asyncio.sleep(0)
            self.steps.append("began")
            await self.gate
            self.steps.append("passed")
            await asyncio.sleep(0.001)
            return "done"
        except asyncio.CancelledError:
            self.steps.append("cancelled")
            raise

    def sheltered(self) -> asyncio.Task[str]:
        async def caller() -> str:
            return await Shielded(self.run(), self.rests.append)

        return asyncio.ensure_future(caller())


async def _at_the_gate(work: Work, caller: asyncio.Task[str]) -> None:
    while work.steps != ["began"]:
        await asyncio.sleep(0)
    assert not caller.done()


async def test_a_caller_that_stays_gets_the_result() -> None:
    work = Work()
    caller = work.sheltered()
    await _at_the_gate(work, caller)
    work.gate.set_result(None)
    assert await caller == "done"
    assert work.rests == []


async def test_an_error_is_the_callers() -> None:
    work = Work()
    caller = work.sheltered()
    await _at_the_gate(work, caller)
    work.gate.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await caller
    assert work.rests == []


@pytest.mark.parametrize("at_the_same_time", [False, True])
async def test_work_goes_on_without_its_caller(at_the_same_time: bool) -> None:
    work = Work()
    caller = work.sheltered()
    await _at_the_gate(work, caller)
    caller.cancel()
    if at_the_same_time:
        work.gate.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert work.steps == ["began"] and len(work.rests) == 1
    rest = asyncio.ensure_future(work.rests[0])
    await asyncio.sleep(0)
    if not at_the_same_time:
        work.gate.set_result(None)
    assert await rest == "done"
    assert work.steps == ["began", "passed"]


async def test_the_rest_can_be_cancelled() -> None:
    work = Work()
    caller = work.sheltered()
    await _at_the_gate(work, caller)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    rest = asyncio.ensure_future(work.rests[0])
    await asyncio.sleep(0)
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest
    assert work.steps == ["began", "cancelled"]


@pytest.mark.parametrize("at_the_same_time", [False, True])
async def test_an_error_reaches_work_without_its_caller(at_the_same_time: bool) -> None:
    """Else what it holds, a lease and a connection, would be held for ever."""
    work, released = Work(), list[str]()

    async def holding() -> str:
        try:
            return await work.run()
        except OSError as error:
            released.append(str(error))
            raise

    async def caller() -> str:
        return await Shielded(holding(), work.rests.append)

    calling = asyncio.ensure_future(caller())
    await _at_the_gate(work, calling)
    calling.cancel()
    if at_the_same_time:
        work.gate.set_exception(OSError("gone"))
    with pytest.raises(asyncio.CancelledError):
        await calling
    rest = asyncio.ensure_future(work.rests[0])
    await asyncio.sleep(0)
    if not at_the_same_time:
        work.gate.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await rest
    assert released == ["gone"]
