"""Sockets that listen, and as many descriptors as the system gives."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable
from typing import Any

from stormc_proxy.http.tcp import watch_client
from stormc_proxy.http.tls import Tls

BACKLOG = 4096
ACCEPTS = 64
"""Connections that are accepted in one turn of the loop. Without descriptors asyncio logs a line for each of them."""
HANDSHAKE_SECONDS = 10.0
PER_REQUEST = 3
"""Descriptors of a running request: the client, prefill, decode."""
OWN_DESCRIPTORS = 24
"""Those of the process itself: sockets that listen, the loop, files, probes."""
EVERYWHERE = ("::", "0:0:0:0:0:0:0:0")


def raise_descriptors() -> int:
    """The number of descriptors, raised to what this process may have (containerd starts pods with 1,024)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def bound(host: str, port: int, shared: bool) -> list[socket.socket]:
    """Sockets for a host's addresses on one port; 0 lets the system choose. `::`, or nothing, is every address.

    `shared` lets other workers listen on the same port. Raises OSError.
    """
    host = host.strip("[]") or "::"
    if host in EVERYWHERE:
        try:
            return [_socket(socket.AF_INET6, ("::", port), shared, both=True)]
        except OSError:
            if socket.has_dualstack_ipv6():
                raise
            host = "0.0.0.0"
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((entry[0], entry[4][0]) for entry in entries):
            chosen = sockets[0].getsockname()[1] if sockets else port
            with contextlib.suppress(OSError) if sockets else contextlib.nullcontext():
                sockets.append(_socket(family, (str(address), chosen), shared))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _socket(family: int, address: tuple[str, int], shared: bool, both: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY for this protocol
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        watch_client(sock)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


async def listen(
    protocol: Callable[[], asyncio.Protocol], sockets: list[socket.socket], tls: Tls | None = None
) -> list[asyncio.Server]:
    """Servers that take connections on these sockets. Raises OSError."""
    secure: dict[str, Any] = {} if tls is None else {"ssl": tls.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
    loop = asyncio.get_running_loop()
    servers = []
    for sock in sockets:
        servers.append(await loop.create_server(protocol, sock=sock, backlog=ACCEPTS, **secure))
        with contextlib.suppress(OSError):
            sock.listen(BACKLOG)
    return servers
