"""The wire protocol, point by point, against engines that complain about what vllm-ascend's would not understand."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tests.proxy.answers import answer_to
from tests.proxy.client import CHAT, COMPLETIONS, Client, ask, question
from tests.proxy.manner import OPAQUE, Manner
from tests.proxy.service import service, until

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CHANGED = ("kv_transfer_params", "stream", "stream_options", "max_tokens", "min_tokens", "max_completion_tokens")
INJECTED = {"remote_host": "10.6.6.6", "remote_port": 1, "do_remote_prefill": True}


# -- ids, parameters, overrides ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_prefill_and_decode_receive(mode: str, chat: bool, stream: bool) -> None:
    body = question(
        chat, stream, text="Grüße \u2028 😀", tokens=5, min_tokens=2, max_completion_tokens=5,
        kv_transfer_params=INJECTED, stream_options={"include_usage": True}, temperature=0.10,
        unknown={"a": [1e400, 2**70, None]},
    )  # fmt: skip
    if not stream:
        del body["stream_options"]
    async with service(mode) as s:
        reply = await s.ask(body, {"X-Request-Id": "mine"})
        assert reply.status == 200 and reply.headers["x-request-id"] == "mine"
        (prefill,), (decode,) = s.prefill[0].seen, s.decode[0].seen
        assert prefill.key == decode.key and UUID.fullmatch(prefill.key), "one id, a fresh one"
        assert prefill.path == decode.path == (CHAT if chat else COMPLETIONS)
        sent = json.loads(json.dumps(body))
        assert {k: v for k, v in decode.body.items() if k != "kv_transfer_params"} == {
            k: v for k, v in sent.items() if k != "kv_transfer_params"
        }, "decode gets what the client asked for"
        assert {k: v for k, v in prefill.body.items() if k not in CHANGED} == {
            k: v for k, v in sent.items() if k not in CHANGED
        }
        overrides = {key: prefill.body.get(key) for key in CHANGED[1:]}
        assert overrides == {"stream": False, "stream_options": None, "max_tokens": 1, "min_tokens": 1,
                             "max_completion_tokens": 1}  # fmt: skip
        assert "stream_options" not in prefill.body
        for seen in (prefill, decode):
            assert b"10.6.6.6" not in seen.raw
        if mode == "layerwise":
            url = decode.body["kv_transfer_params"]["metaserver"]
            assert re.fullmatch(rf"http://127\.0\.0\.1:{s.server.callback_port}/v1/metaserver/[0-9a-f]{{32}}", url)
            assert prefill.body["kv_transfer_params"]["opaque"] == OPAQUE
        else:
            assert decode.body["kv_transfer_params"]["opaque"] == OPAQUE
        await s.settled()


@BOTH
async def test_every_request_has_an_id_of_its_own_even_with_the_clients_repeated(mode: str) -> None:
    async with service(mode) as s:
        replies = await asyncio.gather(*(s.ask(question(False, True), {"X-Request-Id": "same"}) for _ in range(20)))
        assert all(reply.status == 200 and reply.done for reply in replies)
        assert {reply.headers["x-request-id"] for reply in replies} == {"same"}
        keys = [seen.key for engine in s.decode for seen in engine.seen]
        assert len(set(keys)) == 20
        await s.settled()


@BOTH
async def test_max_completion_tokens_is_not_invented(mode: str) -> None:
    async with service(mode) as s:
        await s.ask(question(True, False))
        assert "max_completion_tokens" not in s.prefill[0].seen[0].body


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "ü", "x" * 300])
async def test_an_id_that_cannot_stand_in_a_header_is_replaced(given: str) -> None:
    async with service("standard") as s:
        reply = await s.ask(question(False, False), {"X-Request-Id": given})
        assert UUID.fullmatch(reply.headers["x-request-id"])


async def test_standard_without_parameters_of_prefill_passes_none_of_the_client() -> None:
    async with service("standard") as s:
        s.fabric.offered = Ignored()
        reply = await s.ask(question(False, False, kv_transfer_params=INJECTED))
        assert reply.status == 200
        assert "kv_transfer_params" not in s.decode[0].seen[0].body


class Ignored(dict[str, dict[str, Any]]):
    """Prefill's offers, none of which it makes."""

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        super().__setitem__(key, value)
        value.clear()


# -- headers -----------------------------------------------------------------------------------------------------------


@BOTH
async def test_headers_are_forwarded_end_to_end(mode: str) -> None:
    sent = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Authorization": "Bearer mine",
        "X-data-parallel-rank": "3", "X-Other": "ü".encode().decode("latin-1"), "Accept-Encoding": "gzip",
        "TE": "trailers", "Keep-Alive": "timeout=5", "X-Request-Id": "mine", "Proxy-Authorization": "Basic secret",
        "Connection": "keep-alive, X-Hop", "X-Hop": "1",
    }  # fmt: skip
    async with service(mode) as s:
        client = await Client.connect(s.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        raw = json.dumps(question(False, True)).encode()
        head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: proxy\r\nContent-Length: {len(raw)}\r\n{lines}\r\n"
        client.send(head.encode("latin-1") + raw)
        assert (await client.reply()).done
        for engine in (s.prefill[0], s.decode[0]):
            got = engine.seen[0].headers
            for name in ("traceparent", "Authorization", "X-data-parallel-rank", "X-Other"):
                assert got[name.lower()] == sent[name]
            ended = ("accept-encoding", "te", "keep-alive", "proxy-authorization", "transfer-encoding", "x-hop")
            assert not got.keys() & set(ended)
            assert got["host"] == f"127.0.0.1:{engine.port}" and got["x-request-id"] != "mine"
        client.close()


@BOTH
async def test_the_engines_key_replaces_the_clients(mode: str) -> None:
    async with service(mode, api_key="engines") as s:
        await s.ask(question(False, False), {"Authorization": "Bearer mine"})
        await ask(s.port, "GET", "/v1/models")
        for seen in (s.prefill[0].seen[0], s.decode[0].seen[0], s.decode[1].others[0]):
            assert seen.headers["authorization"] == "Bearer engines"
        assert "engines" not in s.log.getvalue() and "mine" not in s.log.getvalue()


async def test_without_a_key_there_is_no_none() -> None:
    async with service("layerwise") as s:
        await s.ask(question(False, False))
        assert "authorization" not in s.prefill[0].seen[0].headers


async def test_response_headers_come_through_without_framing() -> None:
    async with service("layerwise") as s:
        for stream in (False, True):
            reply = await s.ask(question(False, stream))
            assert reply.headers["x-engine"] == "yes"
            assert reply.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
            assert ("transfer-encoding" in reply.headers) != ("content-length" in reply.headers)
            assert UUID.fullmatch(reply.headers["x-request-id"])


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cached", "told"), [(3, 3), (0, 0), (None, None)])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
async def test_standard_tells_the_cached_tokens_of_prefill(
    cached: int | None, told: int | None, stream: bool, chat: bool
) -> None:
    async with service("standard", manner=Manner(cached=cached)) as s:
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await s.ask(question(chat, stream, tokens=5, **more))
        usage = reply.usage()
        assert usage is not None and usage.get("prompt_tokens_details", {}).get("cached_tokens") == told
        assert usage["completion_tokens"] == 5
        if stream:
            own = s.decode[0].seen[0].sent.split(b"\n\n")
            assert reply.body.split(b"\n\n")[:-3] == own[:-3], "no other event is touched"
            assert reply.done


@pytest.mark.parametrize("usage", ["null", "none"])
@BOTH
async def test_usage_that_is_null_or_missing(mode: str, usage: str) -> None:
    async with service(mode, manner=Manner(usage=usage)) as s:
        reply = await s.ask(question(False, False))
        assert reply.status == 200 and reply.text() == answer_to("Say it", 8)
        assert not reply.json.get("usage")


# -- the metaserver ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ack", ["early", "late"])
async def test_when_the_metaserver_answers(ack: str) -> None:
    async with service("layerwise", metaserver_ack=ack) as s:
        s.prefill[0].manner = Manner(seconds=0.3)
        running = asyncio.ensure_future(s.ask(question(False, False)))
        await until(lambda: s.prefill[0].seen)
        await asyncio.sleep(0.1)
        assert s.decode[0].statuses == ([200] if ack == "early" else [])
        assert (await running).status == 200
        await until(lambda: s.decode[0].statuses == [200])
        await s.settled()


@pytest.mark.parametrize(("ack", "unknown", "failed"), [("early", 200, 200), ("late", 404, 502)])
async def test_what_the_metaserver_answers(ack: str, unknown: int, failed: int) -> None:
    async with service("layerwise", prefill=1, metaserver_ack=ack) as s:
        secret, stale = "0" * 32, "cmpl-00000000-0000-4000-8000-000000000000-0"
        for identity, status in ((stale, unknown), ("nonsense", unknown), (None, 400), (1, 400)):
            reply = await ask(s.server.callback_port, "POST", f"/v1/metaserver/{secret}", {"request_id": identity})
            assert reply.status == status, identity
        s.prefill[0].manner = Manner(fault="500")
        assert (await s.ask(question(False, False))).status == 500
        await until(lambda: s.decode[0].statuses == [failed])
        await s.settled()


@pytest.mark.parametrize("stream", [False, True])
async def test_prefill_that_dies_after_its_kv_cache_arrived_is_no_loss(stream: bool) -> None:
    """Decode has all it needs; a second prefill would write into memory that decode may have given to others."""
    async with service("layerwise") as s:
        for engine in s.prefill:
            engine.manner = Manner(fault="pushed_reset")
        for engine in s.decode:
            engine.manner = Manner(token_seconds=0.02 if stream else 0.0)
        reply = await s.ask(question(False, stream))
        assert reply.status == 200 and reply.text() == answer_to("Say it", 8), reply
        assert reply.done == stream
        assert sum(len(engine.seen) for engine in s.prefill) == 1
        assert sum(s.failures("prefill")) <= 1 and s.failures("decode") == [0, 0]
        await s.settled()


@pytest.mark.parametrize(("chat", "styles"), [
    (False, ("plain",)), (True, ("plain",)), (False, ("suffix",)), (True, ("suffix", "plain")), (False, ("sampled",)),
    (False, ("unknown", "plain", "plain", "suffix")),
])  # fmt: skip
async def test_forms_of_the_id(chat: bool, styles: tuple[str, ...]) -> None:
    async with service("layerwise", manner=Manner(callbacks=styles, late_callback=True)) as s:
        assert (await s.ask(question(chat, False))).status == 200
        await until(lambda: s.decode[0].statuses == [200] * (len(styles) + 1))
        assert sum(len(engine.seen) for engine in s.prefill) == 1
        await s.settled()


async def test_decode_that_needs_no_prefill_answers_without() -> None:
    async with service("layerwise", manner=Manner(callbacks=())) as s:
        assert (await s.ask(question(False, True))).done
        assert not s.prefill[0].seen
        await s.settled()


async def test_many_callbacks_at_a_time() -> None:
    """The reference holds one of decode's 32 threads per prefill."""
    async with service("layerwise", prefill=1, decode=1) as s:
        s.prefill[0].manner = Manner(fault="hang")
        running = [asyncio.ensure_future(s.ask(question(False, False))) for _ in range(100)]
        await until(lambda: len(s.decode[0].statuses) == 100, 20)
        assert not any(task.done() for task in running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await s.settled(10.0)
