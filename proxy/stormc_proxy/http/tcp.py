"""Peers that are gone without a word: TCP is told to notice them."""

from __future__ import annotations

import asyncio
import contextlib
import socket

USER_TIMEOUT_MS = 30_000
CLIENT_TIMEOUT_MS = 120_000
"""Time in which a client may leave bytes unread, or be gone without a word, before its engines are freed."""


def watch_peer(transport: asyncio.Transport) -> None:
    """Let TCP watch the peer: a node that lost its power says nothing."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    _watch(sock, USER_TIMEOUT_MS)


def watch_client(sock: socket.socket) -> None:
    """As `watch_peer` for all connections that a listening socket takes: Linux hands its options on."""
    _watch(sock, CLIENT_TIMEOUT_MS)


def _watch(sock: socket.socket, milliseconds: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
