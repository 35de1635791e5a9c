"""Bytes of engines that are not HTTP as it must be reach no client."""

from __future__ import annotations

import pytest

from stormc_proxy.http.answer import read_head
from stormc_proxy.http.events import unframed
from stormc_proxy.http.framing import ChunkedFeed, FramingError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
EVENTS = [b"data: one\n\n", b"data: two\n\n"]


OK = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("raw", [
    PLAIN, b"HTTP/1.0 200", b"HTTP/1.1 599 ", b"HTTP/1.1 200 \xc3\xbc\tx", OK + b"\r\nX:",
    b"HTTP/1.1 103 Early\r\nLink: </x>",
])  # fmt: skip
def test_heads(raw: bytes) -> None:
    head, _ = read_head(raw)
    assert head.status == int(raw[9:12])


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 99 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1  200 OK", b"HTTP/2 200 OK",
    b"http/1.1 200 OK", b"HTTP/1.1 200 a\rb", OK + b"\r\nX : 1", OK + b"\r\nX: a\r\n b", OK + b"\r\nX: a\rb",
    OK + b"\r\nX: a\nb", OK + b"\r\nX: a\0b", OK + b"\r\n: 1", OK + b"\r\nno colon",
    OK + b"\r\nContent-Length: 3\r\nContent-Length: 4", OK + b"\r\nTransfer-Encoding: gzip, chunked",
])  # fmt: skip
def test_what_is_no_head(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"head of an answer|content-length|transfer-encoding"):
        read_head(raw)


def _framed(size: str) -> bytes:
    return b"".join(size.format(len(e)).encode() + b"\r\n" + e + b"\r\n" for e in EVENTS) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", ["{:x}", "{:X}", "00{:x}", "{:x};name=value", '{:x};a="b"', "{:x}  ", "{:x} ;x"])
def test_chunks_pass_without_what_is_for_this_connection_alone(size: str) -> None:
    feed = ChunkedFeed(read_head(PLAIN)[1])
    passed = feed.feed(_framed(size))
    assert feed.done and unframed(passed.framed) == b"".join(EVENTS)
    assert passed.whole == size.upper().endswith("X}"), "re-framed unless it is a bare size"


@pytest.mark.parametrize(
    "size", ["0x{:x}", "+{:x}", "-{:x}", "{:x}_0", "0_{:x}", " {:x}", "{:x}g", ";{:x}", "7{:x}0000000"]
)
def test_what_is_no_chunk(size: str) -> None:
    with pytest.raises(FramingError):
        ChunkedFeed(read_head(PLAIN)[1]).feed(_framed(size))
