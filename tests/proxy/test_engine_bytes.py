"""Bytes of engines that are not HTTP as it must be reach no client."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormc_proxy.http.answer_head import Heads, read_head
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
    head = read_head(raw)[0]
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


LINE = st.sampled_from([
    b"Content-Length: 3", b"content-length: 3", b"content-length:3", b"Content-Length: 3 ", b"X: 3", b"X : 3",
    b"Transfer-Encoding: chunked", b"Connection: close", b"Content-Type: text/event-stream", b"x-request-id: 3",
    b"Content-Encoding: gzip",
])  # fmt: skip
FIRST = st.sampled_from([OK, b"HTTP/1.0 200", b"HTTP/1.1 204"])


@settings(max_examples=400)
@given(st.lists(st.tuples(FIRST, st.lists(LINE, max_size=4)), max_size=6))
@example([(OK, [b"Content-Length: 3", b"X: 3"]), (OK, [b"Content-Length: 3", b"content-length: 3", b"X: 3"])])
@example([(b"HTTP/1.1 204", [b"Content-Length: 3"]), (OK, []), (OK, [b"Content-Length: 3"])])
def test_heads_that_are_remembered_are_read_as_new_ones(answers: list[tuple[bytes, list[bytes]]]) -> None:
    heads = Heads()
    for first, lines in answers:
        for number in (b"3", b"45"):
            raw = b"\r\n".join([first, *(line.replace(b"3", number) for line in lines)])
            outcomes: list[object] = []
            for reading in (read_head, heads.read, heads.read):
                try:
                    head, framing, length = reading(raw)
                    outcomes.append((head.status, head.reason, head.headers, head.lines(), framing, length))
                except ValueError:
                    outcomes.append(None)
            assert outcomes[0] == outcomes[1] == outcomes[2], raw


def _framed(size: str) -> bytes:
    return b"".join(size.format(len(e)).encode() + b"\r\n" + e + b"\r\n" for e in EVENTS) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", ["{:x}", "{:X}", "00{:x}", "{:x};name=value", '{:x};a="b"', "{:x}  ", "{:x} ;x"])
def test_chunks_pass_without_what_is_for_this_connection_alone(size: str) -> None:
    feed = ChunkedFeed(read_head(PLAIN)[1])
    framed, _, whole = feed.feed(_framed(size))
    assert feed.done and unframed(framed) == b"".join(EVENTS)
    assert whole == size.upper().endswith("X}"), "re-framed unless it is a bare size"


@pytest.mark.parametrize(
    "size", ["0x{:x}", "+{:x}", "-{:x}", "{:x}_0", "0_{:x}", " {:x}", "{:x}g", ";{:x}", "7{:x}0000000"]
)
def test_what_is_no_chunk(size: str) -> None:
    with pytest.raises(FramingError):
        ChunkedFeed(read_head(PLAIN)[1]).feed(_framed(size))
