"""What clients send, when they leave, and how connections to engines are used."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path

import pytest

from tests.proxy.answers import answer_to
from tests.proxy.client import CHAT, COMPLETIONS, Client, Reply, ask, question, request
from tests.proxy.manner import Manner
from tests.proxy.service import service, until

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)


# -- what the client sends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "raw", "says"), [
    (COMPLETIONS, b"{", "not a JSON object"),
    (COMPLETIONS, b"[]", "not a JSON object"),
    (COMPLETIONS, b"", "not a JSON object"),
    (COMPLETIONS, b'{"prompt":"\xff"}', "not UTF-8"),
    (COMPLETIONS, b"{}", "prompt is missing"),
    (COMPLETIONS, b'{"prompt":null}', "prompt is missing"),
    (CHAT, b"{}", "messages"),
    (CHAT, b'{"messages":[]}', "messages"),
    (CHAT, b'{"messages":"Hi"}', "messages"),
])  # fmt: skip
async def test_bad_requests_are_400_and_reach_nobody(path: str, raw: bytes, says: str) -> None:
    async with service("layerwise") as s:
        reply = await ask(s.port, "POST", path, raw)
        assert reply.status == 400 and says in reply.json["error"]["message"]
        assert reply.json["error"]["type"] == "invalid_request_error"
        assert not any(e.seen for e in (*s.prefill, *s.decode)) and s.failures("decode") == [0, 0]


async def test_a_body_that_is_too_large() -> None:
    async with service("layerwise", max_body_bytes=10_000) as s:
        assert (await s.ask(question(False, False, text="x" * 9_000))).status == 200
        reply = await s.ask(question(False, False, text="x" * 11_000))
        assert reply.status == 413 and "10000" in reply.json["error"]["message"]
        await s.settled()


@BOTH
async def test_a_body_of_megabytes_passes_byte_by_byte(mode: str) -> None:
    text = "文" * 700_000
    async with service(mode) as s:
        raw = json.dumps({"prompt": text, "max_tokens": 2}, ensure_ascii=False).encode()
        reply = await ask(s.port, "POST", COMPLETIONS, raw)
        assert reply.status == 200 and reply.text() == answer_to(text, 2)
        assert len(s.decode[0].seen[0].raw) < len(raw) + 500, "not one byte longer than needed"


async def test_a_compressed_body() -> None:
    async with service("layerwise", max_body_bytes=10_000) as s:
        raw = gzip.compress(json.dumps(question(False, False)).encode())
        reply = await ask(s.port, "POST", COMPLETIONS, raw, {"Content-Encoding": "gzip"})
        assert reply.status == 200 and reply.text() == answer_to("Say it", 8)
        assert "content-encoding" not in s.decode[0].seen[0].headers
        bomb = gzip.compress(b'{"prompt":"' + b"x" * 10_000_000)
        assert len(bomb) > 9_000 and len(bomb) < 20_000
        reply = await ask(s.port, "POST", COMPLETIONS, bomb, {"Content-Encoding": "gzip"})
        assert reply.status == 413
        await s.settled()


async def test_a_body_that_is_not_compressed_as_it_says() -> None:
    async with service("standard", prefill=1, decode=1) as s:
        reply = await s.ask(question(False, False), {"Content-Encoding": "gzip"})
        assert reply.status == 400 and reply.json["error"]["type"] == "invalid_request_error"
        assert s.requests()[-1]["status"] == 400
        await s.settled()


async def test_too_many_requests() -> None:
    async with service("layerwise", max_requests=3, manner=Manner(seconds=0.1)) as s:
        running = [asyncio.ensure_future(s.ask(question(False, False))) for _ in range(3)]
        await until(lambda: s.server.metrics.active == 3)
        reply = await s.ask(question(False, False))
        assert reply.status == 429 and reply.headers["retry-after"] == "1"
        assert reply.json["error"]["type"] == "rate_limit_error"
        assert [(await each).status for each in running] == [200] * 3
        assert (await s.ask(question(False, False))).status == 200
        await s.settled()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_old_client(stream: bool) -> None:
    async with service("layerwise") as s:
        reply = await ask(s.port, "POST", COMPLETIONS, question(False, stream), version="1.0")
        assert reply.version == "HTTP/1.0" and reply.complete and "transfer-encoding" not in reply.headers
        assert reply.body == s.decode[0].seen[0].sent


async def test_requests_on_one_connection_one_after_another_and_all_at_once() -> None:
    async with service("layerwise") as s:
        client = await Client.connect(s.port)
        for number in range(4):
            client.send(request("POST", COMPLETIONS, question(False, number % 2 == 0, text=f"Q{number}")))
            assert (await client.reply()).text() == answer_to(f"Q{number}", 8)
        client.send(b"".join(
            request("POST", COMPLETIONS, question(False, number % 2 == 0, text=f"Q{number}"))
            for number in range(6)
        ))  # fmt: skip
        for number in range(6):
            assert (await client.reply()).text() == answer_to(f"Q{number}", 8)
        client.close()
        await s.settled()


async def test_expect_continue_and_a_chunked_request() -> None:
    async with service("layerwise") as s:
        client = await Client.connect(s.port)
        raw = json.dumps(question(False, True)).encode()
        head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\n"
        client.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        await asyncio.sleep(0.02)
        for byte in raw:
            client.send(b"1\r\n%c\r\n" % byte)
        client.send(b"0\r\n\r\n")
        reply = await client.reply()
        assert reply.done and reply.interim == [100]
        client.close()


@BOTH
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("writes", ["events", "coalesced", "split"])
async def test_streams_in_any_framing(mode: str, framing: str, writes: str) -> None:
    async with service(mode, manner=Manner(framing=framing, writes=writes)) as s:
        for chat in (False, True):
            reply = await s.ask(question(chat, True, tokens=30))
            assert reply.body == s.decode[int(chat)].seen[0].sent and reply.done
        await s.settled()


# -- the client leaves -------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["prefill", "decode"])
@pytest.mark.parametrize("way", ["reset", "close"])
async def test_a_client_that_leaves_ends_both_halves_within_a_second(
    mode: str, stream: bool, where: str, way: str
) -> None:
    async with service(mode) as s:
        for engine in s.engines(where):
            engine.manner = Manner(seconds=30.0)
        client = await s.begin(question(False, stream))
        await until(lambda: any(engine.seen for engine in s.engines(where)))
        await asyncio.sleep(0.05)
        client.reset() if way == "reset" else client.close()
        if mode == "standard" and where == "decode":
            await until(lambda: not s.fabric.held)
        await s.settled(1.0)
        assert s.failures("prefill") == s.failures("decode") == [0, 0]
        ended = [r["end"] for r in s.records() if r["event"] == "request"]
        assert ended == ["client_gone"]


@pytest.mark.parametrize("stream", [False, True])
async def test_standard_prefill_is_told_when_the_client_leaves_in_between(stream: bool) -> None:
    """The KV cache that prefill holds is fetched by a request for one token."""
    async with service("standard") as s:
        s.prefill[0].manner = Manner(seconds=0.1)
        client = await s.begin(question(False, stream, max_completion_tokens=9))
        await until(lambda: s.prefill[0].seen)
        client.reset()
        await until(lambda: s.decode[0].farewells, 1.0)
        await until(lambda: not s.fabric.held, 1.0)
        told = s.decode[0].farewells[0]
        assert told.key == s.prefill[0].seen[0].key
        assert told.body["max_tokens"] == 1 and told.body["stream"] is False
        assert "max_completion_tokens" not in told.body
        await s.settled()


@BOTH
async def test_a_client_that_leaves_a_stream(mode: str) -> None:
    async with service(mode) as s:
        s.decode[0].manner = Manner(token_seconds=0.05)
        client = await s.begin(question(False, True, tokens=1000))
        reply = Reply()
        await client.head(reply)
        assert reply.status == 200
        await client.reader.readuntil(b"\n\n")
        client.reset()
        await s.settled(1.0)
        assert s.decode[0].seen[0].left and s.failures("decode") == [0, 0]


async def test_a_client_that_leaves_while_it_sends_its_body() -> None:
    async with service("layerwise") as s:
        client = await Client.connect(s.port)
        client.send(b"POST /v1/completions HTTP/1.1\r\nHost: p\r\nContent-Length: 1000\r\n\r\n{")
        await until(lambda: any(c.deadline for listener in s.server._listeners for c in listener.connections))
        client.reset()
        await s.settled(1.0)


async def test_a_client_that_reads_slowly_slows_decode_down() -> None:
    """Two slow readers of 20 MB each: neither the proxy nor its sockets may take it all in."""
    async with service("layerwise", manner=Manner(pad=20_000)) as s:
        clients = [await s.begin(question(False, True, tokens=1000), buffer=16_384) for _ in range(2)]
        replies = [Reply(), Reply()]
        for client, reply in zip(clients, replies, strict=True):
            await client.head(reply)
        await asyncio.sleep(0.5)
        before = _memory()
        await asyncio.sleep(0.3)
        transports = [c for engine in s.decode for c in engine.wires]
        assert all(not wire._writable.is_set() for wire in transports if wire._seen is not None), "decode waits"
        assert _memory() - before < 2_000_000
        quick = await s.ask(question(False, True, tokens=3))
        assert quick.done, "others are served"
        clients[0].reset()
        body = Reply(headers=replies[1].headers)
        await _chunks(clients[1], body)
        assert body.done and body.text() == answer_to("Say it", 1000)
        clients[1].close()
        await s.settled()


async def _chunks(client: Client, reply: Reply) -> None:
    parts = []
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        parts.append(await client.reader.readexactly(size))
        await client.reader.readexactly(2)
    await client.reader.readexactly(2)
    reply.body = b"".join(parts)


def _memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
