"""Addresses of names: asked anew as pods move, and remembered for the time in which nobody answers.

A resolver that is away says nothing about the engines: their last good addresses are used until it is back (as Envoy
and HAProxy do). The address that answered last is tried first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable

FRESH_SECONDS = 1.0
"""Time for which an answer is used without asking again."""
PATIENCE_SECONDS = 0.3
"""Time that a known name waits for a new answer, before its last one is used."""
STAGGER_SECONDS = 0.25
"""Between the beginnings of connects to the addresses of one name (RFC 8305)."""


class NoAddress(OSError):
    """A name of which nothing is known, because the resolver does not answer."""


class Resolver:
    """Resolves names, one question at a time for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, notify: Callable[[str], None] = lambda name: None) -> None:
        """`notify(name)` hears of every question that failed."""
        self._loop, self._notify = loop, notify
        self._addresses: dict[str, list[str]] = {}
        self._asked_at: dict[str, float] = {}
        self._questions: dict[str, asyncio.Task[bool]] = {}
        self._absent: set[str] = set()
        self.failures = 0

    async def addresses(self, host: str, anew: bool = False) -> list[str]:
        """The addresses of a name or literal, the one that answered last first.

        `anew` asks even if the last answer is fresh.

        Raises NoAddress while nothing is known of a name, OSError for one that does not exist.
        """
        if _is_literal(host):
            return [host]
        known_addresses = self._addresses.get(host)
        if not anew and self._loop.time() - self._asked_at.get(host, -FRESH_SECONDS) < FRESH_SECONDS:
            return known_addresses or self._unknown(host)
        task = self._questions.get(host)
        if task is None:
            task = self._questions[host] = self._loop.create_task(self._ask(host))
        await asyncio.wait((task,), timeout=PATIENCE_SECONDS if known_addresses else None)
        return self._addresses.get(host) or self._unknown(host)

    def _unknown(self, host: str) -> list[str]:
        """Raises OSError for a name that does not exist, NoAddress while the resolver does not answer."""
        if host in self._absent:
            raise OSError("no such name")
        raise NoAddress("the resolver does not answer")

    def answered(self, host: str, address: str) -> None:
        """An address of a name took a connection: it is tried first from now on."""
        known_addresses = self._addresses.get(host)
        if known_addresses and known_addresses[0] != address and address in known_addresses:
            self._addresses[host] = [address, *(other for other in known_addresses if other != address)]

    def forget(self, hosts: set[str]) -> None:
        """Remember the addresses of these names only."""
        self._addresses = {host: addresses for host, addresses in self._addresses.items() if host in hosts}
        self._asked_at = {host: when for host, when in self._asked_at.items() if host in hosts}

    async def _ask(self, host: str) -> bool:
        try:
            entries = await self._loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            self.failures += 1
            self._notify(host)
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
                self._absent.add(host)
            else:
                self._absent.discard(host)
            return False
        else:
            self._absent.discard(host)
            fresh = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
            before = self._addresses.get(host, ())
            fresh.sort(key=lambda address: address not in before[:1])
            if fresh:
                self._addresses[host] = fresh
            return bool(fresh)
        finally:
            self._asked_at[host] = self._loop.time()
            del self._questions[host]


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


Secure = tuple[ssl.SSLContext, str] | None
"""How TLS is spoken, and the name that the other side's certificate has to bear; None for plain connections."""


async def connect_first(
    loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol], addresses: list[str], port: int,
    secure: Secure = None,
) -> tuple[asyncio.Protocol, str]:  # fmt: skip
    """The first of the addresses that takes a connection; one that is silent does not hold up the others.

    Raises the OSError of the last one when none does.
    """
    if len(addresses) == 1:
        return (await _connect(loop, protocol, addresses[0], port, secure))[1], addresses[0]
    waiting, error = list(addresses), OSError("no address")
    running: dict[asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]], str] = {}
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[loop.create_task(_connect(loop, protocol, address, port, secure))] = address
            pause = STAGGER_SECONDS if waiting else None
            finished, _ = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                address = running.pop(task)
                try:
                    return task.result()[1], address
                except OSError as failed:
                    error = failed
        raise error
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_unwanted)


async def _connect(
    loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol], address: str, port: int, secure: Secure
) -> tuple[asyncio.Transport, asyncio.Protocol]:
    if secure is None:
        return await loop.create_connection(protocol, address, port)
    return await loop.create_connection(protocol, address, port, ssl=secure[0], server_hostname=secure[1])


def _close_unwanted(task: asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]]) -> None:
    """Close a connection for which nobody waits any more."""
    if not task.cancelled() and task.exception() is None:
        task.result()[0].abort()
