"""Bodies of clients as plain bytes: content codings undone within a limit."""

from __future__ import annotations

import zlib

CODINGS = ("gzip", "deflate")


class NotDecoded(Exception):
    """A body that is not encoded as its headers say."""


class TooLong(Exception):
    """A body that would be longer than the limit."""


def decoded(raw: bytes, coding: str, limit: int) -> bytes:
    """The body without a coding of CODINGS, at most `limit` bytes. Raises NotDecoded, TooLong."""
    windows = (31,) if coding == "gzip" else (15, -15)  # deflate is sent with zlib's header, and without by some
    for window in windows:
        try:
            reader = zlib.decompressobj(window)
            text = reader.decompress(raw, limit + 1)
        except zlib.error:
            continue
        if len(text) > limit:
            raise TooLong
        if not reader.eof or reader.unused_data:
            break
        return text
    raise NotDecoded
