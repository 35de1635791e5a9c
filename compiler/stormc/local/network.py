"""Addresses for the pods and Services of one local run."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from stormc.failure import Failure
from stormc.phrase import phrase

BLOCKS = range(64, 127)
"""127.64.0.0/16 to 127.126.0.0/16, one for each run at a time."""
_LOCK_PORT = 47999
_SOCKETS = Path("/proc/net/tcp")
_LISTENS = re.compile(r"^ *\d+: [0-9A-F]{4}([0-9A-F]{2})7F:[0-9A-F]{4} \S+ 0A ", re.MULTILINE)
"""A socket that listens on 127.B.x.x; the bytes of an address come in reverse (linux net/ipv4/tcp_ipv4.c)."""


class Network:
    """A block of loopback addresses, held by a lock socket so that runs beside each other do not mix.

    A block on which something answers is passed over: what a pod of a killed run had started may live on.
    """

    def __init__(self) -> None:
        in_use = _blocks_in_use()
        for block in BLOCKS:
            if block in in_use:
                continue
            self._lock = socket.socket()
            try:
                self._lock.bind((f"127.{block}.0.1", _LOCK_PORT))
            except OSError:
                self._lock.close()
                continue
            self.prefix = f"127.{block}"
            self._pods, self._services = _addresses(self.prefix, 1), _addresses(self.prefix, 128)
            return
        raise Failure(phrase("no block of loopback addresses is free: end another local run"))

    def pod(self) -> str:
        """The address of a new pod; none is given twice."""
        return next(self._pods)

    def service(self) -> str:
        """The address of a new Service."""
        return next(self._services)

    def close(self) -> None:
        """Gives the block back."""
        self._lock.close()


def _blocks_in_use() -> set[int]:
    try:
        return {int(block, 16) for block in _LISTENS.findall(_SOCKETS.read_text())}
    except OSError:  # another system than Linux
        return set()


def _addresses(prefix: str, first: int) -> Iterator[str]:
    return (f"{prefix}.{third}.{fourth}" for third in range(first, first + 127) for fourth in range(1, 255))
