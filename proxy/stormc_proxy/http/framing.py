"""Bodies of engines, from bytes to what may go on: whole chunks as they came, of events only whole events."""

from __future__ import annotations

import zlib

from stormc_proxy.http.answer_head import UNTIL_CLOSE, Framing
from stormc_proxy.http.events import chunk, unframed
from stormc_proxy.outcomes import Outcome

EVENT_BYTES = 64 * 1024 * 1024
LINE_BYTES = 1024

_SIZES = {b"%x" % size: size for size in range(1, 1024)}
"""The lines before most chunks of streams: looking one up costs a third of reading it."""


class FramingError(Exception):
    """A body that is not framed as HTTP has it."""

    def __init__(self, outcome: Outcome) -> None:
        """`outcome` says what is wrong."""
        super().__init__(outcome.text)
        self.outcome = outcome


Passed = tuple[bytes, int, bool]
"""Chunks with their framing, their number, and whether each of them ends where an event ends: none is torn then."""
NOTHING: Passed = (b"", 0, True)


class PlainFeed:
    """A body with a length, or one that the end of the connection ends."""

    __slots__ = ("_left", "clean", "done")

    def __init__(self, length: int) -> None:
        """Before the first byte of so many, or UNTIL_CLOSE."""
        self._left = length
        self.done, self.clean = length == 0, True

    def feed(self, data: bytes) -> bytes:
        """The body's part of `data`."""
        if self._left == UNTIL_CLOSE:
            return data
        if len(data) > self._left:
            data, self.clean = data[: self._left], False
        self._left -= len(data)
        self.done = not self._left
        return data

    @property
    def ends_with_connection(self) -> bool:
        """Whether a closed connection is the body's proper end."""
        return self._left == UNTIL_CLOSE


class ChunkedFeed:
    """A body in chunks."""

    __slots__ = ("_events", "_held", "_missing", "clean", "done")
    ends_with_connection = False

    def __init__(self, framing: Framing) -> None:
        """Before the first byte."""
        self._events = framing.events
        self._held: list[bytes] = []
        self._missing = 0
        self.done, self.clean = False, True

    def feed(self, data: bytes) -> Passed:
        """Whole chunks that may go on; the rest is held. Raises FramingError."""
        if not self._held and data.endswith(b"\n\n\r\n"):  # mostly it is one event in one chunk
            line = data.find(b"\r\n", 0, 6)
            if _SIZES.get(data[:line], 0) == len(data) - line - 4 > 1:
                return data, 1, True
        if self._missing > len(data):
            self._missing -= len(data)
            self._held.append(data)
            return NOTHING
        if self._held:
            self._held.append(data)
            data = b"".join(self._held)
            self._held = []
        self._missing = 0
        return self._walk(data)

    def _walk(self, data: bytes) -> Passed:
        """Chunk by chunk; of events up to the last chunk that ends one."""
        position = count = passed = passed_count = 0
        whole, size, events, find = True, len(data), self._events, data.find
        while True:
            line = find(b"\r\n", position, position + LINE_BYTES)
            if line < 0:
                if size - position > LINE_BYTES:
                    raise FramingError(Outcome.MALFORMED)
                break
            text = data[position:line]
            length = _SIZES.get(text, 0)
            if not length:
                length, whole = _size(text), whole and text.isalnum()  # extensions end here, as hop-by-hop fields do
                if not length:
                    return self._last(data, position, line, count, whole)
            end = line + 4 + length
            if end > size:
                self._missing = end - size
                break
            position = end
            count += 1
            last = data[end - 4 : end]
            if last != b"\n\n\r\n" or length == 1:  # as few have it
                if last[2:] != b"\r\n":
                    raise FramingError(Outcome.MALFORMED)
                if events and (data[end - 6 : end - 2] != b"\r\n\r\n" or length < 4):
                    whole = False
                    continue
            passed, passed_count = end, count
        if passed:
            if passed < size:
                self._held.append(data[passed:])
            return data[:passed], passed_count, whole
        return self._torn(data, position, count)

    def _torn(self, data: bytes, position: int, count: int) -> Passed:
        """Whole events of chunks that all end inside of one, as a relay in between may cut them."""
        payload = unframed(data[:position]) if count else b""
        end = max(payload.rfind(b"\n\n") + 2, payload.rfind(b"\r\n\r\n") + 4)
        if end < 4:
            if len(data) > EVENT_BYTES:
                raise FramingError(Outcome.TOO_LONG)
            if data:
                self._held.append(data)
            return NOTHING
        rest = payload[end:]
        self._held.append((chunk(rest) if rest else b"") + data[position:])
        return chunk(payload[:end]), payload.count(b"data:", 0, end), True

    def _last(self, data: bytes, position: int, line: int, count: int, whole: bool) -> Passed:
        trailer = data.find(b"\r\n\r\n", line)
        if trailer < 0:
            self._held.append(data)
            return NOTHING
        self.done, self.clean = True, trailer + 4 == len(data)
        return (data[:position], count, whole) if position else NOTHING


class PackedFeed:
    """A body that its engine compressed, plain again."""

    def __init__(self, inner: PlainFeed | ChunkedFeed, coding: str) -> None:
        """`inner` undoes the framing, `coding` is one of coding.CODINGS."""
        self._inner = inner
        self._reader = zlib.decompressobj(31 if coding == "gzip" else 15)

    def feed(self, data: bytes) -> bytes:
        """The plain bytes. Raises FramingError."""
        inner = self._inner
        packed = inner.feed(data)
        if isinstance(packed, tuple):
            packed = unframed(packed[0])
        try:
            plain = self._reader.decompress(packed)
        except zlib.error:
            raise FramingError(Outcome.MALFORMED) from None
        if inner.done and not self._reader.eof:
            raise FramingError(Outcome.CLOSED_EARLY)
        return plain

    @property
    def done(self) -> bool:
        """Whether the body is whole."""
        return self._inner.done

    @property
    def clean(self) -> bool:
        """Whether nothing came behind it."""
        return self._inner.clean

    @property
    def ends_with_connection(self) -> bool:
        """Whether a closed connection is the body's proper end."""
        return self._inner.ends_with_connection


Feed = ChunkedFeed | PlainFeed | PackedFeed


def feed_of(framing: Framing, length: int) -> Feed:
    """The reader for a body of this framing and length."""
    feed = ChunkedFeed(framing) if framing.chunked else PlainFeed(length)
    return PackedFeed(feed, framing.coding) if framing.coding and not feed.done else feed


def _size(line: bytes) -> int:
    """The size in a chunk's first line; extensions are allowed. Raises FramingError."""
    digits = line if line.isalnum() else line.partition(b";")[0].rstrip(b" \t")
    try:
        length = int(digits, 16)
    except ValueError:
        length = -1
    if not 0 <= length <= EVENT_BYTES or not digits.isalnum() or digits[:2] in (b"0x", b"0X"):
        raise FramingError(Outcome.MALFORMED)
    return length
