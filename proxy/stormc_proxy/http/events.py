"""Server-sent events, and the chunks of HTTP that carry them."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

DONE = b"data: [DONE]\n\n"
BLOCK_BYTES = 256 * 1024
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def chunk(payload: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def unframed(framed: bytes) -> bytes:
    """The payload of whole chunks."""
    parts, position = [], 0
    while position < len(framed):
        line = framed.index(b"\r\n", position)
        end = line + 2 + int(framed[position:line].partition(b";")[0], 16)
        parts.append(framed[line + 2 : end])
        position = end + 2
    return parts[0] if len(parts) == 1 else b"".join(parts)


def split(payload: bytes) -> list[bytes]:
    """The events of a payload, each with the blank line that ends it; the last one may lack it."""
    events, start = [], 0
    for blank in _BLANK_LINE.finditer(payload):
        events.append(payload[start : blank.end()])
        start = blank.end()
    if start < len(payload):
        events.append(payload[start:])
    return events


def has_data(payload: bytes) -> bool:
    """Whether events say something: comments, blank lines, ids and names alone do not."""
    return payload.startswith((b"data:", b"\xef\xbb\xbfdata:")) or b"\ndata:" in payload or b"\rdata:" in payload


def parsed(event: bytes) -> dict[str, Any] | None:
    """The JSON object of an event; None for [DONE], comments and anything else."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    try:
        value = json.loads(b"\n".join(lines))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def event(value: object) -> bytes:
    """An event that carries a JSON value."""
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def is_done(raw: bytes) -> bool:
    """Whether an event is the one that ends a stream of the OpenAI API."""
    return raw.startswith(b"data:") and raw[5:].strip() == b"[DONE]"


class Transcript:
    """The chunks of a stream that went to a client, in case its answer has to be resumed.

    Nothing is parsed while it grows. Old parts are compressed: events repeat each other, a long answer takes a
    twentieth of its size.
    """

    __slots__ = ("_old", "_parts", "_size")

    def __init__(self) -> None:
        """Has no chunks yet."""
        self._old: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, framed: bytes) -> None:
        """Append whole chunks that hold whole events."""
        self._parts.append(framed)
        self._size += len(framed)
        if self._size > BLOCK_BYTES:
            self._old.append(zlib.compress(b"".join(self._parts), 1))
            self._parts.clear()
            self._size = 0

    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects of all events, in order."""
        framed = b"".join([zlib.decompress(block) for block in self._old] + self._parts)
        values = (parsed(raw) for raw in split(unframed(framed)))
        return [value for value in values if value is not None]
