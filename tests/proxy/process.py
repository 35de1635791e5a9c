"""The proxy as a process of its own, as operators start it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.proxy.client import ask
from tests.proxy.engine import Engine
from tests.proxy.manner import Fabric

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m stormc_proxy` with engines in this process."""

    def __init__(self, process: subprocess.Popen[str], port: int, engines: dict[str, list[Engine]]) -> None:
        self.process, self.port, self.engines = process, port, engines

    async def ready(self) -> None:
        """Wait until it takes requests."""
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError):
                if (await ask(self.port, "GET", "/readyz")).status == 200:
                    return
            assert time.monotonic() < end and self.process.poll() is None
            await asyncio.sleep(0.02)

    async def ended(self, seconds: float) -> int:
        """Its exit code; fails when it does not end in time."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def lines(self) -> list[dict[str, Any]]:
        """Its log; only after it ended."""
        assert self.process.stdout is not None
        return [json.loads(line) for line in self.process.stdout.read().splitlines()]


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def started(mode: str, arguments: Sequence[str], counts: tuple[int, int] = (1, 1)) -> AsyncIterator[Process]:
    """The proxy as a process; {port}, {callbacks}, {prefill}, {decode} in the arguments are ports of this run."""
    fabric, port, callbacks = Fabric(), free_port(), free_port()
    engines = {role: [Engine(role, mode, fabric) for _ in range(count)]
               for role, count in zip(("prefill", "decode"), counts, strict=True)}  # fmt: skip
    for engine in (*engines["prefill"], *engines["decode"]):
        await engine.start()
    command = [sys.executable, "-m", "stormc_proxy"]
    for argument in arguments:
        found = engines.get(argument.strip("{}"), [])
        command += [str(e.port) for e in found] or [argument.format(port=port, callbacks=callbacks)]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-engines", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        running = Process(process, port, engines)
        await running.ready()
        yield running
        assert not fabric.problems, fabric.problems
    finally:
        process.kill()
        process.communicate()
        for engine in (*engines["prefill"], *engines["decode"]):
            await engine.stop()
            engine.close()
