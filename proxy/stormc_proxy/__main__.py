"""Runs the proxy: `python -m stormc_proxy --prefiller-hosts … --decoder-hosts …`, or `--config FILE`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import signal
import sys
from pathlib import Path

from aiohttp import web

from stormc_proxy.edge.server import Server
from stormc_proxy.settings import Settings, SettingsError, from_arguments
from stormc_proxy.workers import Crew, run

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75.0
YOUNG_OBJECTS = 50_000


async def serve(settings: Settings, config: Path | None, crew: Crew | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then drain. 0 when everything was answered."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings, config, loop, crew)
    await server.start()
    own_port = bool(settings.metaserver_port) and settings.mode == "layerwise"
    applications = [(settings.port, server.application(metaserver=not own_port))]
    if own_port:
        applications.append((settings.metaserver_port, server.application(metaserver=True, rest=False)))
    if crew is not None:
        applications.append((0, server.application(metaserver=True)))
    runners = []
    for port, application in applications:
        runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=1.0,
        )  # fmt: skip
        await runner.setup()
        runners.append(runner)
        if port or crew is None:
            shared = True if crew is not None else None
            await web.TCPSite(runner, settings.host, port, backlog=BACKLOG, reuse_port=shared).start()
        else:
            await web.SockSite(runner, crew.listening(), backlog=BACKLOG).start()
    server.journal.event(
        "serving", mode=settings.mode, host=settings.host, port=settings.port, prefill=len(settings.prefill),
        decode=len(settings.decode),
    )  # fmt: skip
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    await stop.wait()
    drained = await server.drain()
    for runner in runners:
        await runner.cleanup()
    await server.stop()
    return 0 if drained else 1


def main() -> int:
    """Parse the command line and run; 2 for settings that cannot work."""
    try:
        settings, config = from_arguments()
    except SettingsError as error:
        print(f"proxy: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop").install()
    try:
        if settings.workers > 1:
            return run(settings.workers, lambda crew: asyncio.run(serve(settings, config, crew)))
        return asyncio.run(serve(settings, config))
    except OSError as error:
        print(f"proxy: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
