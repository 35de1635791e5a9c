"""A request at one decode instance: who may call back for it, and what is known of its KV cache."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow.refusal import Refusal
from stormc_proxy.http.connection import Connection
from stormc_proxy.random_ids import new_secret
from stormc_proxy.transitions import ATTEMPT

Prefill = Callable[[str], Coroutine[Any, Any, bool]]
"""Starts the prefill with the parameters that decode posted; its result is whether the KV cache is on its way."""


class Attempt:
    """One decode instance, one request, from the moment it is sent."""

    __slots__ = ("_prefill", "connection", "instance", "key", "refusal", "secret", "state", "task")

    def __init__(self, instance: Instance, key: str, prefill: Prefill | None = None) -> None:
        """`key` is the request's X-Request-Id at decode and prefill; `secret` is known to this decode alone."""
        self.instance, self.key, self._prefill = instance, key, prefill
        self.secret = new_secret()
        self.state = ATTEMPT.start
        self.connection: Connection | None = None
        self.task: asyncio.Task[bool] | None = None
        self.refusal: Refusal | None = None

    def step(self, event: str) -> None:
        """What happened, in the words of transitions.ATTEMPT."""
        self.state = ATTEMPT[self.state, event]

    @property
    def served(self) -> bool:
        """Decode speaks or is done: it has its KV cache, or needs none any more."""
        return self.state in ("speaking", "over")

    def speaks(self) -> None:
        """Decode's answer begins. From now on a prefill that fails has failed too late to matter."""
        if self.state != "speaking":
            self.state = ATTEMPT[self.state, "speaks"]

    def taken(self, connection: Connection) -> None:
        """The connection to decode, to be cut when prefill is impossible."""
        self.connection = connection

    def called_back(self, spawn: Callable[[Coroutine[Any, Any, bool]], asyncio.Task[bool]], parameters: str) -> bool:
        """Start the prefill that decode waits for, once; False when decode needs none.

        A callback after decode's first word, or for another machine, is none of this decode instance.
        """
        if self.task is None:
            if self.served or self._prefill is None:
                return False
            self.state = ATTEMPT[self.state, "calls back"]
            if self.connection is not None:
                self.connection.excuse(True)
            self.task = spawn(self._prefill(parameters))
        return True

    def close(self, answered: bool, event: str) -> None:
        """Decode is done with it. A prefill that still runs is not needed when nobody answered."""
        self.state = ATTEMPT[self.state, event]
        self._prefill = None  # it knows this attempt: nothing that holds itself is left for the garbage collector
        if self.connection is not None and not answered:
            self.connection.close()
        if self.task is not None and not answered:
            self.task.cancel()


def is_at(host: str, remote_host: object) -> bool:
    """Whether the KV cache would go to the machine of an instance, as far as its address tells.

    A name may stand for a Service with an address of its own, so only a literal address is held against it; one of
    loopback is this machine under any of its addresses.
    """
    if host == remote_host or not isinstance(remote_host, str):
        return True
    return _is_same(host, remote_host)


@lru_cache(maxsize=4096)
def _is_same(host: str, remote_host: str) -> bool:
    try:
        ours, theirs = ipaddress.ip_address(host), ipaddress.ip_address(remote_host)
    except ValueError:
        return True
    if ours == theirs or not ours.is_loopback:
        return ours == theirs
    with socket.socket(socket.AF_INET6 if theirs.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(theirs), 0))
        except OSError:
            return False
    return True
