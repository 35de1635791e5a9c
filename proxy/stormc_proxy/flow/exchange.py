"""One request at one instance, whose answer is needed as a whole."""

from __future__ import annotations

import json
from typing import NamedTuple

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow.body import size_of
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.endpoint import Upstream
from stormc_proxy.http.request_writer import Pieces
from stormc_proxy.outcomes import error_in, of_error
from stormc_proxy.settings import Settings

ERROR_BYTES = 64
"""Part of an answer, from its beginning, in which an error object names its error."""


class Answer(NamedTuple):
    """A whole answer."""

    head: Head
    body: bytes


def error_status(content: bytes) -> int:
    """The status that a whole answer of status 200 stands for when it is an error object; else 0."""
    if content.find(b'"error"', 0, ERROR_BYTES) < 0:
        return 0
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return 0
    error = error_in(value) if isinstance(value, dict) and "choices" not in value else None
    return of_error(error) if error is not None else 0


def tail(key: str, body: Pieces) -> bytes:
    """The last header lines of a request: its id and the length of its body."""
    size = len(body) if isinstance(body, bytes) else size_of(body)
    return b"X-Request-Id: %b\r\nContent-Length: %d\r\n\r\n" % (key.encode(), size)


async def exchange(
    upstream: Upstream, instance: Instance, line: bytes, fields: bytes, body: Pieces, key: str,
    settings: Settings | None = None,
) -> Answer:  # fmt: skip
    """The answer. Its connection is closed when that fails or is cancelled. Without settings no time limit holds.

    Raises UpstreamError.
    """
    connections: list[Connection] = []
    response = settings.response_timeout_seconds if settings else 0.0
    idle = settings.stream_idle_timeout_seconds if settings else 0.0
    whole = False
    try:
        headers = fields + tail(key, body)
        connection, head = await upstream.open(instance, line, headers, body, response, connections.append)
        content = connection.content
        if content is None:
            content = await connection.collect(idle)
        connection.finish()
        whole = True
        return Answer(head, content)
    finally:
        if not whole:
            for connection in connections:
                connection.close()
