"""Connections to the engines, by address: reused for less time than uvicorn keeps them (5 s), opened to any address."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable, Iterable

from stormc_proxy.http.answer_head import Head, Heads
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.deadline import Deadline, Sweep
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.request_writer import Pieces
from stormc_proxy.http.resolver import NoAddress, Resolver, connect_first
from stormc_proxy.http.target import Target
from stormc_proxy.http.tls import Tls
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address

KEEP_ALIVE_SECONDS = 4.0
IDLE_CONNECTIONS = 256
OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
"""Errors that say what this process or machine lacks; no engine is to blame for them."""
RACE_SECONDS = 1.0
"""A peer that closed an idle connection just before a request came says so within this time; later it worked on it."""
_RACE = (Outcome.RESET, Outcome.CLOSED_EARLY, Outcome.CONNECTION_CLOSED)


class Endpoint:
    """The connections to one address."""

    def __init__(
        self,
        address: Address,
        loop: asyncio.AbstractEventLoop,
        resolver: Resolver,
        timeout: float,
        sweep: Sweep | None = None,
        tls: Tls | None = None,
        heads: Heads | None = None,
    ) -> None:
        """No connection is open yet; `timeout` is for opening one, 0 is none. `sweep` and `heads` are shared."""
        self._tls = tls
        self.sweep, self.heads = sweep or Sweep(loop), heads or Heads()
        self.address, self.loop, self.timeout = address, loop, timeout
        self.host_line = f"Host: {address}\r\n".encode()
        self._resolver = resolver
        self._idle: list[Connection] = []
        self._retired = False

    def idle_connection(self) -> Connection | None:
        """The one that was used last, if it is young enough."""
        if not self._idle:
            return None
        connection = self._idle.pop()
        if connection.idle_since > self.loop.time() - KEEP_ALIVE_SECONDS:
            connection.reused = True
            return connection
        connection.close()
        self.close()
        return None

    async def new_connection(self) -> Connection:
        """One that nobody has used. Raises UpstreamError, with `sent` false."""
        opening = self.loop.create_task(self._open())
        late = self.loop.create_future()
        deadline = Deadline(self.loop, self.timeout, lambda: late.set_result(None)) if self.timeout else None
        try:  # not wait_for: before Python 3.12 it drops a cancellation that comes together with the result
            await asyncio.wait((opening, late), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                raise UpstreamError(Outcome.CONNECT_TIMEOUT, sent=False)
            return opening.result()
        except BaseException:
            opening.cancel()
            opening.add_done_callback(_close_unwanted)
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
            late.cancel()

    async def _open(self) -> Connection:
        host = self.address.host
        try:
            connection, address = await self._connect(host)
        except NoAddress as error:
            raise UpstreamError(Outcome.NO_ADDRESS, sent=False) from error
        except OSError as error:
            raise UpstreamError(_why(error), sent=False) from error
        self._resolver.answered(host, address)
        assert isinstance(connection, Connection)
        return connection

    async def _connect(self, host: str) -> tuple[asyncio.Protocol, str]:
        """A connection to one of a name's addresses; a pod that moved may have others by now. Raises OSError."""
        addresses = await self._resolver.addresses(host)
        secure = (self._tls.context, host) if self._tls is not None else None
        try:
            return await connect_first(self.loop, lambda: Connection(self), addresses, self.address.port, secure)
        except OSError:
            others = [a for a in await self._resolver.addresses(host, anew=True) if a not in addresses]
            if not others:
                raise
            return await connect_first(self.loop, lambda: Connection(self), others, self.address.port, secure)

    def put(self, connection: Connection) -> None:
        """Keep it for the next request, if there may be one."""
        if len(self._idle) < IDLE_CONNECTIONS and not self._retired:
            self._idle.append(connection)
        else:
            connection.close()

    def drop(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection.idle_since and connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def retire(self) -> None:
        """Nobody asks for it any more: what runs on a connection ends there, and then it is closed."""
        self._retired = True
        self.close()


def _why(error: OSError) -> Outcome:
    """The outcome that an error of connecting stands for."""
    if error.errno in OWN_LIMITS:
        return Outcome.NO_DESCRIPTORS
    if isinstance(error, ssl.SSLError):
        return Outcome.NOT_TRUSTED
    return Outcome.REFUSED if isinstance(error, ConnectionRefusedError) else Outcome.UNREACHABLE


def _close_unwanted(opening: asyncio.Task[Connection]) -> None:
    """Close a connection for which nobody waits any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Upstream:
    """All endpoints, by address."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, resolver: Resolver, connect_timeout: float, tls: Tls | None = None
    ) -> None:
        """Nothing is connected yet."""
        self._loop, self.resolver, self._timeout, self.tls = loop, resolver, connect_timeout, tls
        self._endpoints: dict[Address, Endpoint] = {}
        self._sweep, self._heads = Sweep(loop), Heads()

    def endpoint(self, address: Address) -> Endpoint:
        """The connections to an address."""
        endpoint = self._endpoints.get(address)
        if endpoint is None:
            endpoint = self._endpoints[address] = Endpoint(
                address, self._loop, self.resolver, self._timeout, self._sweep, self.tls, self._heads
            )
        return endpoint

    def set_timeout(self, seconds: float) -> None:
        """Another time to open a connection, from now on."""
        self._timeout = seconds
        for endpoint in self._endpoints.values():
            endpoint.timeout = seconds

    async def open(
        self, target: Target, line: bytes, fields: bytes, body: Pieces, timeout: float,
        taken: Callable[[Connection], None],
    ) -> tuple[Connection, Head]:  # fmt: skip
        """Send a request, its line and its header fields given, and return the connection with the answer's head.

        A reused connection that dies at once is the keep-alive race, not a failure (RFC 9112, 9.3.1): tried again once,
        on a new connection. `taken` gets the connection before anything is sent, so that a cancelled caller can close
        it. Raises UpstreamError.
        """
        endpoint = self._endpoints.get(target.address) or self.endpoint(target.address)
        request = line + endpoint.host_line + fields
        connection = endpoint.idle_connection() or await endpoint.new_connection()
        taken(connection)
        try:
            return connection, await connection.send(request, body, target, timeout)
        except UpstreamError as error:
            connection.close()
            raced = connection.reused and self._loop.time() - connection.written < RACE_SECONDS
            if not raced or error.outcome not in _RACE:
                raise
        connection = await endpoint.new_connection()
        taken(connection)
        try:
            return connection, await connection.send(request, body, target, timeout)
        except UpstreamError:
            connection.close()
            raise

    def forget(self, keep: Iterable[Address]) -> None:
        """Close the endpoints that are not in `keep`."""
        addresses = set(keep)
        for address in [a for a in self._endpoints if a not in addresses]:
            self._endpoints.pop(address).retire()
        self.resolver.forget({address.host for address in addresses})

    def close(self) -> None:
        """Close all idle connections and stop looking at time limits."""
        self.forget(())
        self._sweep.close()
