"""Requests of clients: what is taken, h11 takes for the same; what two readers could read twice is refused."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormc_proxy.http.content_coding import NotDecoded, TooLong, decoded
from stormc_proxy.http.request import (
    HEAD_BYTES,
    KNOWN_HEADS,
    BadRequest,
    ChunkedBody,
    Heads,
    RequestHead,
    SizedBody,
    body_reader,
    end_of_head,
    read_head,
)

BODY = b'{"prompt":"x"}'


def head(*lines: bytes, first: bytes = b"POST /v1/completions HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    """A head."""
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def read(raw: bytes) -> tuple[RequestHead, bytes, bytes]:
    """Head, body, and what follows."""
    end = end_of_head(raw)
    found, length = read_head(raw[:end])
    reader = body_reader(length)
    if reader.done:
        return found, b"", raw[end:]
    body, rest = reader.feed(raw[end:])
    assert reader.done
    return found, body, rest


REFUSED = {
    "both lengths": (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "length twice": (head(b"Content-Length: 5", b"Content-Length: 5"), 400),
    "a list of lengths": (head(b"Content-Length: 5, 5"), 400),
    "a signed length": (head(b"Content-Length: +5"), 400),
    "a negative length": (head(b"Content-Length: -1"), 400),
    "a length in hex": (head(b"Content-Length: 0x10"), 400),
    "a length with digits of others": (head("Content-Length: ５".encode()), 400),
    "another coding": (head(b"Transfer-Encoding: xchunked"), 400),
    "two codings": (head(b"Transfer-Encoding: chunked, identity"), 400),
    "coding twice": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    "chunks in HTTP/1.0": (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
    "a folded line": (head(b"X-A: a", b" b"), 400),
    "a blank before the colon": (head(b"X-A : a"), 400),
    "no colon": (head(b"X-A"), 400),
    "an empty name": (head(b": a"), 400),
    "a bare line feed": (head(b"X-A: a\nX-B: b"), 400),
    "a bare carriage return": (head(b"X-A: a\rX-B: b"), 400),
    "NUL": (head(b"X-A: a\0b"), 400),
    "no Host": (head(host=b""), 400),
    "two Hosts": (head(b"Host: y"), 400),
    "another version": (head(first=b"PRI * HTTP/2.0"), 505),
    "no version": (head(first=b"GET /"), 400),
    "a blank in the target": (head(first=b"GET /a b HTTP/1.1"), 400),
    "two blanks": (head(first=b"GET  / HTTP/1.1"), 400),
    "a tab": (head(first=b"GET\t/ HTTP/1.1"), 400),
    "another expectation": (head(b"Expect: 200-maybe"), 417),
    "too many headers": (head(*(b"X-%d: a" % k for k in range(300))), 431),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as error:
        read_head(raw)
    assert error.value.status == status
    assert b"x-a" not in error.value.text.lower().encode(), "nothing of the request is quoted"


@pytest.mark.parametrize(("data", "status"), [
    (b"\x16\x03\x01\x02\x00", 400), (b"\xff\xfe\r\n", 400), (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    (b"GET /" + b"a" * HEAD_BYTES, 414), (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES, 431),
])  # fmt: skip
def test_what_is_refused_before_the_head_is_complete(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as error:
        end_of_head(data)
    assert error.value.status == status


@pytest.mark.parametrize(("first", "path", "query"), [
    (b"GET / HTTP/1.1", "/", ""), (b"GET /a?b=c?d HTTP/1.1", "/a", "b=c?d"), (b"OPTIONS * HTTP/1.1", "*", ""),
    (b"GET http://evil.example/v1/models?x HTTP/1.1", "/v1/models", "x"), (b"GET HTTP://e HTTP/1.1", "/", ""),
    (b"GET /v1%2fx HTTP/1.1", "/v1%2fx", ""), (b"GET //v1/x HTTP/1.1", "//v1/x", ""),
])  # fmt: skip
def test_targets(first: bytes, path: str, query: str) -> None:
    found, _ = read_head(head(first=first))
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(("lines", "first", "keep"), [
    ([], b"GET / HTTP/1.1", True), ([], b"GET / HTTP/1.0", False), ([b"Connection: close"], b"GET / HTTP/1.1", False),
    ([b"Connection: Keep-Alive"], b"GET / HTTP/1.0", True), ([b"Connection: x, Close"], b"GET / HTTP/1.1", False),
])  # fmt: skip
def test_whether_a_connection_stays(lines: list[bytes], first: bytes, keep: bool) -> None:
    assert read_head(head(*lines, first=first))[0].keep_alive is keep


LINE = st.sampled_from([
    b"Content-Length: 14", b"Content-Length: 0", b"content-length:14", b"Transfer-Encoding: chunked", b"X-A: b",
    b"Transfer-Encoding:Chunked", b"X-A:\tb ", b"Connection: close", b"Host: y", b"X A: b", b"X: \x80", b"", b" x",
    b"Expect: 100-continue", b"Content-Length: 14 ", b"X:",
])  # fmt: skip
FIRST = st.sampled_from([
    b"POST / HTTP/1.1", b"GET /?a HTTP/1.1", b"POST / HTTP/1.0", b"POST / HTTP/1.2", b"P\xd6ST / HTTP/1.1", b"X",
])  # fmt: skip
TAIL = st.sampled_from([
    BODY, b"e\r\n" + BODY + b"\r\n0\r\n\r\n", b"e;a=b\r\n" + BODY + b"\r\n0\r\nT: 1\r\n\r\n", b"0\r\n\r\n", b"",
    b"g\r\n", b"-1\r\n", b"e\r\n" + BODY + b"\n0\r\n\r\n",
])  # fmt: skip


@settings(max_examples=400)
@given(FIRST, st.lists(LINE, max_size=4), TAIL)
@example(b"POST / HTTP/1.1", [b"Content-Length: 14"], BODY)
@example(b"POST / HTTP/1.1", [b"Transfer-Encoding: chunked"], b"e\r\n" + BODY + b"\r\n0\r\n\r\n")
def test_whatever_is_taken_h11_takes_for_the_same(first: bytes, lines: list[bytes], tail: bytes) -> None:
    raw = head(*lines, first=first) + tail
    try:
        found, body, rest = read(raw)
    except (BadRequest, AssertionError):
        return
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(raw)
    request = oracle.next_event()
    assert isinstance(request, h11.Request)
    assert request.method == found.method.encode()
    theirs = [field for field in request.headers if field[0] not in (b"content-length", b"transfer-encoding")]
    assert theirs == [(name.lower(), value) for name, value in found.fields]
    content = b""
    while isinstance(event := oracle.next_event(), h11.Data):
        content += event.data
    assert isinstance(event, h11.EndOfMessage) and content == body
    assert oracle.trailing_data[0] == rest


@settings(max_examples=400)
@given(st.lists(st.tuples(FIRST, st.lists(LINE, max_size=4)), min_size=2, max_size=6))
@example([(b"POST / HTTP/1.1", [b"Content-Length: 0", line]) for line in (b"X-A: b", b"Content-Length: 14", b"X:")])
@example([(b"POST / HTTP/1.1", lines) for lines in ([b"Content-Length: 14"], [], [b"Transfer-Encoding: chunked"])])
def test_heads_that_are_remembered_are_read_as_new_ones(requests: list[tuple[bytes, list[bytes]]]) -> None:
    heads = Heads()
    for first, lines in requests:
        for variant in (lines, [line.replace(b"14", b"7") for line in lines]):
            raw = head(*variant, first=first)
            outcomes: list[object] = []
            for reading in (read_head, heads.read, heads.read):
                try:
                    found, length = reading(raw)
                    outcomes.append((found, length))
                except BadRequest as error:
                    outcomes.append(error.status)
            assert outcomes[0] == outcomes[1] == outcomes[2], raw


def test_few_heads_are_remembered() -> None:
    heads = Heads()
    for k in range(KNOWN_HEADS + 3):
        assert heads.read(head(b"X-A: %d" % k, b"Content-Length: 7"))[1] == 7
    assert len(heads._known) <= KNOWN_HEADS and len(heads._fields) <= KNOWN_HEADS


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    for raw in (data, data + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        try:
            end = end_of_head(raw)
            if end:
                read_head(raw[:end])
        except BadRequest as error:
            assert 400 <= error.status < 600


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(0, 400), max_size=12))
def test_a_chunked_body_cut_anywhere(parts: list[bytes], places: list[int]) -> None:
    framed = b"".join(b"%x;e=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nT: 1\r\n\r\nrest"
    edges = [0, *sorted({place % len(framed) for place in places}), len(framed)]
    reader, body, rest = ChunkedBody(), b"", b""
    for start, end in pairwise(edges):
        if reader.done:
            rest += framed[start:end]
            continue
        taken, rest = reader.feed(framed[start:end])
        body += taken
    assert reader.done and body == b"".join(parts) and rest == b"rest"


@pytest.mark.parametrize("framed", [
    b"x\r\n", b"1\r\nabc", b"1\r\na\nb", b"\r\n", b"1 1\r\n", b"0\r\nbad trailer\r\n\r\n", b"1" * 2000,
    b"ffffffffffffffffffff\r\n", b"1;\x00\r\n", b"0x1\r\n", b"+1\r\n",
])  # fmt: skip
def test_malformed_chunks(framed: bytes) -> None:
    with pytest.raises(BadRequest):
        ChunkedBody().feed(framed)


def test_a_body_of_known_length_ends_there() -> None:
    reader = SizedBody(3)
    assert reader.feed(b"ab") == (b"ab", b"") and not reader.done
    assert reader.feed(b"cd") == (b"c", b"d") and reader.done


def test_codings() -> None:
    import gzip
    import zlib

    for coding, raw in (
        ("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("deflate", zlib.compress(BODY)[2:-4]),
    ):  # fmt: skip
        assert decoded(raw, coding, 100) == BODY
        with pytest.raises(TooLong):
            decoded(raw, coding, len(BODY) - 1)
        with pytest.raises(NotDecoded):
            decoded(raw[:-3], coding, 100)
        with pytest.raises(NotDecoded):
            decoded(BODY, coding, 100)
