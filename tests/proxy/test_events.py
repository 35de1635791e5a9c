"""Events and the framing under them: whatever way the bytes are cut, the same payload comes out, of whole events."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.body_sink import CollectedBody
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.endpoint import Endpoint
from stormc_proxy.http.events import BLOCK_BYTES, DONE, Transcript, chunk, event, is_done, parsed, split, unframed
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.settings import Address

PAYLOAD = st.binary(min_size=1, max_size=40)
JSON = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.integers() | st.text(st.characters(codec="utf-8"), max_size=10),
    max_size=3,
)


@given(st.lists(PAYLOAD, max_size=6))
def test_chunks_and_back(payloads: list[bytes]) -> None:
    assert unframed(b"".join(map(chunk, payloads))) == b"".join(payloads)


def test_chunk_extensions_are_skipped() -> None:
    assert unframed(b"3;name=value\r\nabc\r\n1\r\nd\r\n") == b"abcd"


@given(st.lists(JSON, max_size=6), st.sampled_from([b"\n\n", b"\r\n\r\n"]), st.booleans())
def test_events_are_split_at_blank_lines(values: list[dict[str, Any]], blank: bytes, open_end: bool) -> None:
    raw = [event(value).rstrip(b"\n") + blank for value in values]
    whole = b"".join(raw)
    whole = whole[: -len(blank)] if open_end and raw else whole
    found = split(whole)
    assert b"".join(found) == whole and len(found) == len(values)
    assert [parsed(each) for each in found] == values


@pytest.mark.parametrize(("raw", "value"), [
    (b'data: {"a":1}\n\n', {"a": 1}),
    (b'data:{"a":1}\r\n\r\n', {"a": 1}),
    (b'event: x\nid: 1\ndata: {"a":\ndata: 1}\n\n', {"a": 1}),
    (b": ping\n\n", None),
    (b"data: [DONE]\n\n", None),
    (b"data: [1]\n\n", None),
    (b"data: nonsense\n\n", None),
    (b"\n\n", None),
    (b'data: {"a":"\xff"}\n\n', None),
])  # fmt: skip
def test_parsed(raw: bytes, value: object) -> None:
    assert parsed(raw) == value


@pytest.mark.parametrize(("raw", "done"), [
    (DONE, True), (b"data:[DONE]\r\n\r\n", True), (b"data: [DONE]", True), (b'data: {"a":"[DONE]"}\n\n', False),
    (b": [DONE]\n\n", False),
])  # fmt: skip
def test_the_end_of_a_stream(raw: bytes, done: bool) -> None:
    assert is_done(raw) == done


@given(st.lists(st.lists(JSON, min_size=1, max_size=3), max_size=8))
def test_a_transcript_gives_back_what_was_said(pieces: list[list[dict[str, Any]]]) -> None:
    transcript = Transcript()
    for piece in pieces:
        transcript.add(b"".join(chunk(event(value)) for value in piece))
    transcript.add(chunk(DONE))
    assert transcript.objects() == [value for piece in pieces for value in piece]


def test_a_long_transcript_is_small() -> None:
    transcript = Transcript()
    values = [{"id": "cmpl-1", "choices": [{"index": 0, "text": f" word{number}"}]} for number in range(20_000)]
    for value in values:
        transcript.add(chunk(event(value)))
    held = sum(map(len, transcript._old)) + sum(map(len, transcript._parts))
    assert transcript.objects() == values
    assert held < BLOCK_BYTES + 20_000 * len(event(values[0])) / 8


# -- the framing of answers, cut anywhere ------------------------------------------------------------------------------


class Sink:
    """Keeps every piece."""

    def __init__(self) -> None:
        self.pieces: list[tuple[bytes, int, bool]] = []

    def chunks(self, framed: bytes, count: int, whole: bool) -> bool:
        self.pieces.append((framed, count, whole))
        return True

    def data(self, data: bytes) -> bool:
        self.pieces.append((chunk(data), 0, False))
        return True

    @property
    def payload(self) -> bytes:
        return b"".join(unframed(framed) for framed, _, _ in self.pieces)


class Wire(asyncio.Transport):
    """A transport without a network."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection, self.written, self.closed = connection, b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def receive(pieces: list[bytes], sink: Any, close: bool = False, early: int = 0) -> tuple[Head, Connection]:
    """Give an answer's bytes to a connection, `early` pieces of them before anybody wants the body."""

    async def exchange() -> tuple[Head, Connection]:
        loop = asyncio.get_running_loop()
        connection = Connection(Endpoint(Address("127.0.0.1", 1), loop, Resolver(loop), 0.0))
        connection.connection_made(Wire(connection))
        head = asyncio.ensure_future(connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", None, 0.0))
        await asyncio.sleep(0)
        left = list(pieces)
        while left and not head.done():
            connection.data_received(left.pop(0))
            await asyncio.sleep(0)
        for _ in range(min(early, len(left))):
            connection.data_received(left.pop(0))
        if close and not left:
            connection.connection_lost(None)
        found = await asyncio.wait_for(head, 1)
        body = asyncio.ensure_future(connection.pump(sink, 0.0))
        await asyncio.sleep(0)
        for piece in left:
            if connection._transport is not None:
                connection.data_received(piece)
        if close and left and connection._transport is not None:
            connection.connection_lost(None)
        await asyncio.wait_for(body, 1)
        return found, connection

    return asyncio.run(exchange())


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    """`raw` cut at those places."""
    edges = [0, *sorted({place % (len(raw) + 1) for place in places}), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges) if a < b]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
EVENTS = st.lists(st.sampled_from([
    b"data: {}\n\n", b'data: {"a":"\\n\\n"}\n\n', b": ping\n\n", b"data: x\r\n\r\n", b"event: a\ndata: b\n\n", DONE,
]), min_size=1, max_size=6)  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nX-Engine: yes\r\n%b\r\n"
STREAM, TEXT = b"text/event-stream; charset=utf-8", b"text/plain"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@settings(max_examples=150)
@given(EVENTS, CUTS, CUTS, st.integers(0, 5), st.sampled_from([b"0\r\n\r\n", b"0;x\r\nTrailer: a\r\n\r\n"]))
@example([DONE], [0], [], 5, b"0\r\n\r\n")
def test_chunked_events_cut_anywhere(
    events: list[bytes], chunk_cuts: list[int], cuts: list[int], early: int, end: bytes
) -> None:
    payload = b"".join(events)
    framed = b"".join(map(chunk, cut(payload, chunk_cuts))) + end
    sink = Sink()
    head, connection = receive(cut(HEAD % (STREAM, CHUNKED) + framed, cuts), sink, early=early)
    assert (head.status, head.get(b"x-engine"), head.get(b"transfer-encoding")) == (200, b"yes", b"")
    assert sink.payload == payload
    for piece, _, whole in sink.pieces:
        said = unframed(piece)
        assert said.endswith((b"\n\n", b"\r\n\r\n")), "a piece ends where an event does"
        assert not whole or all(part.endswith((b"\n\n", b"\r\n\r\n")) for part in _payloads(piece))
    assert connection.reusable


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n"])
def test_chunks_that_all_end_inside_of_an_event_do_not_hold_the_stream_back(ending: bytes) -> None:
    """A relay between engine and proxy may cut anywhere; what is whole goes on at once."""
    seen: list[bytes] = []

    class Watched(Sink):
        def chunks(self, framed: bytes, count: int, whole: bool) -> bool:
            seen.append(unframed(framed))
            return super().chunks(framed, count, whole)

    events = [b"data: %d" % number + ending for number in range(5)]
    torn = [b"da", *(b"ta: %d" % number + ending + b"da" for number in range(4)), b"ta: 4" + ending[:-1], ending[-1:]]
    receive([HEAD % (STREAM, CHUNKED), *map(chunk, torn), b"0\r\n\r\n"], Watched())
    assert seen == events


def _payloads(framed: bytes) -> list[bytes]:
    found = []
    while framed:
        size, _, rest = framed.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        found.append(rest[:length])
        framed = rest[length + 2 :]
    return found


@given(st.binary(max_size=300), CUTS, CUTS, st.integers(0, 5))
def test_chunked_bytes_cut_anywhere(payload: bytes, chunk_cuts: list[int], cuts: list[int], early: int) -> None:
    framed = b"".join(map(chunk, cut(payload, chunk_cuts))) + b"0\r\n\r\n"
    sink = Sink()
    receive(cut(HEAD % (TEXT, CHUNKED) + framed, cuts), sink, early=early)
    assert sink.payload == payload


@given(st.binary(max_size=300), CUTS, st.integers(0, 5), st.booleans())
def test_a_body_of_known_or_unknown_length_cut_anywhere(
    payload: bytes, cuts: list[int], early: int, known: bool
) -> None:
    collected = CollectedBody()
    length = b"Content-Length: %d\r\n" % len(payload) if known else b""
    _, connection = receive(cut(HEAD % (TEXT, length) + payload, cuts), collected, close=True, early=early)
    assert collected.body() == payload
    assert connection.reusable == known


@pytest.mark.parametrize("raw", [
    b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", b"x" * 70_000,
])  # fmt: skip
def test_a_malformed_head_is_an_error(raw: bytes) -> None:
    with pytest.raises(UpstreamError):
        receive([raw], Sink())


@pytest.mark.parametrize("body", [
    b"xyz\r\nabc\r\n0\r\n\r\n", b"-1\r\nabc\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n", b"z" * 2000,
    b"fffffffffffffffff\r\nabc", b"3\r\nabc\r\n\r\n",
])  # fmt: skip
def test_a_malformed_chunk_is_an_error(body: bytes) -> None:
    for kind in (TEXT, STREAM):
        for pieces in ([HEAD % (kind, CHUNKED) + body], [HEAD % (kind, CHUNKED), body]):
            with pytest.raises(UpstreamError):
                receive(pieces, Sink(), close=True)


@pytest.mark.parametrize(("fields", "body"), [
    (CHUNKED, b""), (CHUNKED, b"3\r\nab"), (CHUNKED, b"3\r\nabc\r\n"), (CHUNKED, b"0\r\n"),
    (b"Content-Length: 5\r\n", b"abc"),
])  # fmt: skip
def test_a_body_that_is_cut_is_an_error(fields: bytes, body: bytes) -> None:
    for early in (0, 9):
        with pytest.raises(UpstreamError):
            receive([HEAD % (TEXT, fields) + body], Sink(), close=True, early=early)


@pytest.mark.parametrize(("raw", "body", "keep"), [
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
    (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", True),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", b"a", False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
    (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", b"a", True),
    (b"HTTP/1.1 200 OK\r\ncontent-length:1\r\n\r\nab", b"a", False),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\na\r\n0\r\n\r\nrest", b"a", False),
])  # fmt: skip
def test_heads(raw: bytes, body: bytes, keep: bool) -> None:
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        collected = CollectedBody()
        head, connection = receive(list(pieces), collected)
        assert head.status in (200, 204) and collected.body() == body
        assert connection.reusable == keep or len(pieces) > 1


def test_what_comes_unasked_ends_the_connection() -> None:
    async def stray() -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(Endpoint(Address("127.0.0.1", 1), loop, Resolver(loop), 0.0))
        wire = Wire(connection)
        connection.connection_made(wire)
        connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert wire.closed

    asyncio.run(stray())


@pytest.mark.parametrize("turns", range(8))
def test_a_connection_for_a_caller_that_left_is_closed(turns: int) -> None:
    """A cancellation at any turn of the loop arrives, also together with the connection."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        made: list[Wire] = []

        async def connect(factory: Any, *_: Any) -> Any:
            await asyncio.sleep(0)
            connection = factory()
            made.append(Wire(connection))
            connection.connection_made(made[0])
            return made[0], connection

        loop.create_connection = connect  # type: ignore[method-assign, assignment]
        caller = asyncio.ensure_future(Endpoint(Address("127.0.0.1", 1), loop, Resolver(loop), 5.0).new_connection())
        for _ in range(turns):
            await asyncio.sleep(0)
        left = caller.cancel()
        await asyncio.wait({caller})
        await asyncio.sleep(0.01)
        assert caller.cancelled() == left
        assert left or turns > 4
        assert all(wire.closed == left for wire in made)

    asyncio.run(test())


def test_an_event_is_json_whatever_it_holds() -> None:
    raw = event({"text": "ü \ud800 \n"})
    assert raw.endswith(b"\n\n") and raw.count(b"\n") == 2
    assert json.loads(raw[6:])["text"].startswith("ü ")
