"""Runs the proxy: `python -m stormc_proxy --prefiller-hosts … --decoder-hosts …`, or `--config FILE`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import signal
import ssl
import sys
from pathlib import Path

from stormc_proxy.edge.server import Server
from stormc_proxy.edge.sockets import raise_descriptors
from stormc_proxy.settings import Settings, SettingsError, from_arguments
from stormc_proxy.workers import Crew, run

YOUNG_OBJECTS = 50_000


async def serve(settings: Settings, config: Path | None, descriptors: int, crew: Crew | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then drain. 0 when everything was answered."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings, config, loop, crew)
    server.check_descriptors(descriptors)
    await server.start()
    await server.listen()
    server.journal.event(
        "serving", mode=settings.mode, host=settings.host, port=server.port, callback_port=server.callback_port,
        prefill=len(settings.prefill), decode=len(settings.decode), descriptors=descriptors,
        loop=type(loop).__module__.partition(".")[0], keys=server.keys.needed,
    )  # fmt: skip
    if type(loop).__module__.startswith("asyncio"):
        server.journal.event("no_uvloop", why="not installed; it saves a tenth to a fifth of the CPU per request")
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    await stop.wait()
    drained = await server.drain()
    await server.stop()
    return 0 if drained else 1


def main() -> int:
    """Parse the command line and run; 2 for settings that cannot work."""
    try:
        settings, config = from_arguments()
    except SettingsError as error:
        print(f"proxy: {error}", file=sys.stderr)
        return 2
    descriptors = raise_descriptors()
    with contextlib.suppress(ImportError):  # its absence is told at the start
        importlib.import_module("uvloop").install()
    try:
        if settings.workers > 1:
            return run(settings.workers, lambda crew: asyncio.run(serve(settings, config, descriptors, crew)))
        return asyncio.run(serve(settings, config, descriptors))
    except OSError as error:
        print(f"proxy: {_reason(error, settings)}", file=sys.stderr)
        return 2


def _reason(error: OSError, settings: Settings) -> str:
    """Why it cannot start."""
    if isinstance(error, ssl.SSLError):
        return f"the files for TLS cannot be used: {error.reason or error}"
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"


if __name__ == "__main__":
    sys.exit(main())
