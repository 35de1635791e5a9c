"""The socket on which routing pods speak with each other: UDP, the port number of the API."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Protocol

from stormc_proxy.edge.sockets import EVERYWHERE
from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.peers import Peers, Sender
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.prompt_keys import chained_everywhere, chained_here
from stormc_proxy.settings import Settings

TELL_SECONDS, RESOLVE_SECONDS, IDLE_SECONDS = 0.01, 5.0, 1.0


class Routing(Protocol):
    """The router, as far as peers are concerned."""

    settings: Settings
    pools: dict[str, Pool]
    affinity: Affinity


class Peering(asyncio.DatagramProtocol):
    """Speaks with the pods that `peers` names, and stops when a reload of the settings takes the names away."""

    def __init__(self, router: Routing, sender: Sender, loop: asyncio.AbstractEventLoop) -> None:
        """Sends and receives nothing before `run`."""
        self._router, self._sender, self._loop = router, sender, loop
        self._peers: Peers | None = None
        self._others: dict[str, Any] = {}
        self._family = socket.AF_INET

    async def run(self) -> None:
        """Until cancelled. A port that is taken, or a name that nobody knows, is tried again."""
        while True:
            if self._router.settings.peers:
                with contextlib.suppress(OSError):
                    await self._speak()
            await asyncio.sleep(IDLE_SECONDS)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Without a secret only pods that the names stand for are heard."""
        if self._peers is not None and (self._router.settings.admin_token or addr[0] in self._others):
            self._peers.received(data)

    async def _speak(self) -> None:
        router, settings = self._router, self._router.settings
        bound = _bound(settings.host, settings.port, settings.workers > 1)
        self._family = bound.family
        transport, _ = await self._loop.create_datagram_endpoint(lambda: self, sock=bound)
        resolving = self._loop.create_task(self._resolve())
        affinity = router.affinity
        affinity.chain = chained_everywhere
        secret = settings.admin_token.encode()
        peers = self._peers = Peers(router.pools, affinity, self._sender, secret, self._loop.time)
        try:
            while router.settings.peers:
                for datagram in peers.datagrams():
                    for address in self._others.values():
                        transport.sendto(datagram, address)
                peers.expire()
                affinity.peers = peers.pods
                await asyncio.sleep(TELL_SECONDS)
        finally:
            self._peers = None
            resolving.cancel()
            transport.close()
            peers.close()
            affinity.chain, affinity.peers = chained_here, 0

    async def _resolve(self) -> None:
        """Names may stand for several pods, which come and go. Those of an answer that fails stay."""
        flags = socket.AI_V4MAPPED | socket.AI_ALL if self._family == socket.AF_INET6 else 0
        while True:
            settings = self._router.settings
            addresses: dict[str, Any] = {}
            for name in settings.peers.replace(",", " ").split():
                with contextlib.suppress(OSError):
                    entries = await self._loop.getaddrinfo(
                        name, settings.port, family=self._family, type=socket.SOCK_DGRAM, flags=flags
                    )
                    addresses.update((str(entry[4][0]), entry[4]) for entry in entries)
            self._others = addresses or self._others
            await asyncio.sleep(RESOLVE_SECONDS)


def _bound(host: str, port: int, shared: bool) -> socket.socket:
    """A socket on the API's address; `::` is every address, of IPv4 too. Raises OSError."""
    host = host.strip("[]") or "::"
    if host in EVERYWHERE and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host not in EVERYWHERE))
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
