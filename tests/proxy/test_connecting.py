"""Callers that leave while a connection is opened, after every single turn of the loop: no socket may be left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import Any

import pytest
import trustme

from stormc_proxy.http.endpoint import Endpoint
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.http.tls import Tls
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address
from tests.proxy.service import until

TURNS = 24
"""More than an opening takes, with a handshake of TLS too."""
ADDRESSES = {"one": ["127.0.0.1"], "two": ["127.0.0.1", "127.0.0.2"], "one refuses": ["::1", "127.0.0.1"]}
"""The server listens at IPv4 alone."""


def secured() -> tuple[ssl.SSLContext, Any]:
    """A server's context, and what an endpoint takes for the one towards engines."""
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("engine.example").configure_cert(server)
    client = Tls.__new__(Tls)
    client.context = ssl.create_default_context()
    ca.configure_trust(client.context)
    return server, client


def sockets() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("addresses", ADDRESSES)
async def test_a_caller_that_leaves_at_any_moment(tls: bool, addresses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    server_tls, client_tls = secured() if tls else (None, None)
    names = Resolver(loop)

    async def known(host: str, anew: bool = False) -> list[str]:
        return list(ADDRESSES[addresses])

    monkeypatch.setattr(names, "addresses", known)
    monkeypatch.setattr("stormc_proxy.http.resolver.STAGGER_SECONDS", 0.0)
    server = await loop.create_server(asyncio.Protocol, "0.0.0.0", 0, ssl=server_tls)
    endpoint = Endpoint(Address("engine.example", server.sockets[0].getsockname()[1]), loop, names, 5.0, tls=client_tls)
    (await endpoint.new_connection()).close()
    await asyncio.sleep(0.05)
    before, opened = sockets(), 0
    for turns in range(TURNS):
        opening = asyncio.ensure_future(endpoint.new_connection())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError, UpstreamError):
            (await opening).close()
            opened += 1
        await until(lambda: sockets() <= before, 1.0)
    assert opened or tls, "the last ones are open before their caller leaves"
    server.close()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_connection_that_opens_in_the_moment_of_its_time_limit(
    tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is first, the other one leaves nothing behind."""
    loop = asyncio.get_running_loop()
    server_tls, client_tls = secured() if tls else (None, None)
    names = Resolver(loop)

    async def known(host: str, anew: bool = False) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(names, "addresses", known)
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=server_tls)
    endpoint = Endpoint(Address("engine.example", server.sockets[0].getsockname()[1]), loop, names, 5.0, tls=client_tls)
    (await endpoint.new_connection()).close()
    await asyncio.sleep(0.05)
    before = sockets()
    for number in range(60):
        endpoint.timeout = number * 0.0002 + 1e-9
        with contextlib.suppress(UpstreamError):
            (await endpoint.new_connection()).close()
    await until(lambda: sockets() <= before, 1.0)
    server.close()


async def test_a_head_that_is_too_long_is_one_also_if_it_comes_at_once() -> None:
    loop = asyncio.get_running_loop()

    class Talkative(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 2\r\n\r\n{}" % (b"a" * 100_000))

    server = await loop.create_server(Talkative, "127.0.0.1", 0)
    endpoint = Endpoint(Address("127.0.0.1", server.sockets[0].getsockname()[1]), loop, Resolver(loop), 5.0)
    connection = await endpoint.new_connection()
    with pytest.raises(UpstreamError) as raised:
        await connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", None, 0.0)
    assert raised.value.outcome is Outcome.TOO_LONG
    connection.close()
    server.close()
