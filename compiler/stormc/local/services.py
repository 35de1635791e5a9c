"""Services on one machine: an address of their own, and a listener that passes connections on to ready pods."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stormc.local.pods import Pod

Endpoint = tuple[str, int]


class Forwarder:
    """One port of a Service. It listens only while there is an endpoint: else clients are refused, as in a cluster."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.endpoints: tuple[Endpoint, ...] = ()
        self._turns: Iterator[int] = itertools.count()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def point_to(self, endpoints: tuple[Endpoint, ...]) -> None:
        """New connections go to these endpoints in turn; those that are open stay where they are."""
        self.endpoints = endpoints
        if endpoints and self._server is None:
            self._server = await asyncio.start_server(self._accepted, self.address, self.port, backlog=1024)
        elif not endpoints and self._server is not None:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        """Stops listening and cuts what is open."""
        await self.point_to(())
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._forward(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.endpoints:
            return
        host, port = self.endpoints[next(self._turns) % len(self.endpoints)]
        there, back = await asyncio.open_connection(host, port)
        try:
            ways = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def ports_of(service: Mapping[str, Any]) -> dict[int, int]:
    """Port → target port of a Service."""
    return {entry["port"]: entry.get("targetPort", entry["port"]) for entry in service["spec"].get("ports", ())}


def names_of(services: Mapping[str, str], namespace: str, pods: Iterable[tuple[Pod, str]]) -> dict[str, str]:
    """The names of Services, and of pods below the headless Service that AIBrix makes, ready or not; with addresses."""
    known: dict[str, str] = {}
    for name, address in services.items():
        for domain in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"):
            known[name + domain] = address
    for pod, address in pods:
        known[f"{pod.name}.{pod.service}"] = address
    return known
