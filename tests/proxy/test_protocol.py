"""The wire protocol, point by point, against engines that complain about what vllm-ascend's would not understand."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stormc_proxy.http.endpoint import Endpoint
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.names import Names
from stormc_proxy.settings import Address, Settings, SettingsError, checked, from_arguments
from tests.proxy.answers import FIRST_ID, answer_to, refusal
from tests.proxy.client import CHAT, COMPLETIONS, Client, Reply, ask, question, request
from tests.proxy.manner import OPAQUE, Manner
from tests.proxy.service import Service, run, service, until
from tests.proxy.wire import MODELS

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CHANGED = ("kv_transfer_params", "stream", "stream_options", "max_tokens", "min_tokens", "max_completion_tokens")
INJECTED = {"remote_host": "10.6.6.6", "remote_port": 1, "do_remote_prefill": True}


# -- ids, parameters, overrides ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_what_prefill_and_decode_receive(mode: str, chat: bool, stream: bool) -> None:
    body = question(
        chat, stream, text="Grüße \u2028 😀", tokens=5, min_tokens=2, max_completion_tokens=5,
        kv_transfer_params=INJECTED, stream_options={"include_usage": True}, temperature=0.10,
        unknown={"a": [1e400, 2**70, None]},
    )  # fmt: skip
    if not stream:
        del body["stream_options"]

    async def test() -> None:
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

    run(test())


@BOTH
def test_every_request_has_an_id_of_its_own_even_with_the_clients_repeated(mode: str) -> None:
    async def test() -> None:
        async with service(mode) as s:
            replies = await asyncio.gather(*(s.ask(question(False, True), {"X-Request-Id": "same"}) for _ in range(20)))
            assert all(reply.status == 200 and reply.done for reply in replies)
            assert {reply.headers["x-request-id"] for reply in replies} == {"same"}
            keys = [seen.key for engine in s.decode for seen in engine.seen]
            assert len(set(keys)) == 20
            await s.settled()

    run(test())


@BOTH
def test_max_completion_tokens_is_not_invented(mode: str) -> None:
    async def test() -> None:
        async with service(mode) as s:
            await s.ask(question(True, False))
            assert "max_completion_tokens" not in s.prefill[0].seen[0].body

    run(test())


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "ü", "x" * 300])
def test_an_id_that_cannot_stand_in_a_header_is_replaced(given: str) -> None:
    async def test() -> None:
        async with service("standard") as s:
            reply = await s.ask(question(False, False), {"X-Request-Id": given})
            assert UUID.fullmatch(reply.headers["x-request-id"])

    run(test())


def test_standard_without_parameters_of_prefill_passes_none_of_the_client() -> None:
    async def test() -> None:
        async with service("standard") as s:
            s.fabric.offered = Ignored()
            reply = await s.ask(question(False, False, kv_transfer_params=INJECTED))
            assert reply.status == 200
            assert "kv_transfer_params" not in s.decode[0].seen[0].body

    run(test())


class Ignored(dict[str, dict[str, Any]]):
    """Prefill's offers, none of which it makes."""

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        super().__setitem__(key, value)
        value.clear()


# -- headers -----------------------------------------------------------------------------------------------------------


@BOTH
def test_headers_are_forwarded_end_to_end(mode: str) -> None:
    sent = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Authorization": "Bearer mine",
        "X-data-parallel-rank": "3", "X-Other": "ü".encode().decode("latin-1"), "Accept-Encoding": "gzip",
        "TE": "trailers", "Keep-Alive": "timeout=5", "X-Request-Id": "mine", "Proxy-Authorization": "Basic secret",
        "Connection": "keep-alive, X-Hop", "X-Hop": "1",
    }  # fmt: skip

    async def test() -> None:
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

    run(test())


@BOTH
def test_the_engines_key_replaces_the_clients(mode: str) -> None:
    async def test() -> None:
        async with service(mode, api_key="engines") as s:
            await s.ask(question(False, False), {"Authorization": "Bearer mine"})
            await ask(s.port, "GET", "/v1/models")
            for seen in (s.prefill[0].seen[0], s.decode[0].seen[0], s.decode[1].others[0]):
                assert seen.headers["authorization"] == "Bearer engines"
            assert "engines" not in s.log.getvalue() and "mine" not in s.log.getvalue()

    run(test())


def test_without_a_key_there_is_no_none() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            await s.ask(question(False, False))
            assert "authorization" not in s.prefill[0].seen[0].headers

    run(test())


def test_response_headers_come_through_without_framing() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            for stream in (False, True):
                reply = await s.ask(question(False, stream))
                assert reply.headers["x-engine"] == "yes"
                assert reply.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
                assert ("transfer-encoding" in reply.headers) != ("content-length" in reply.headers)
                assert UUID.fullmatch(reply.headers["x-request-id"])

    run(test())


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cached", "told"), [(3, 3), (0, 0), (None, None)])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
def test_standard_tells_the_cached_tokens_of_prefill(
    cached: int | None, told: int | None, stream: bool, chat: bool
) -> None:
    async def test() -> None:
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

    run(test())


@pytest.mark.parametrize("usage", ["null", "none"])
@BOTH
def test_usage_that_is_null_or_missing(mode: str, usage: str) -> None:
    async def test() -> None:
        async with service(mode, manner=Manner(usage=usage)) as s:
            reply = await s.ask(question(False, False))
            assert reply.status == 200 and reply.text() == answer_to("Say it", 8)
            assert not reply.json.get("usage")

    run(test())


# -- recompute ---------------------------------------------------------------------------------------------------------


@BOTH
def test_an_answer_given_up_looks_like_one_that_was_not(mode: str) -> None:
    """Every way in which it can be told, at once: text, budget, usage, ids, tokens, log-probabilities."""
    ways = itertools.product(
        (False, True), (False, True), (1, 3), ("events", "coalesced", "split"), (1, 3), ("asked", "none"), (1, 4),
    )  # fmt: skip

    async def one(s: Service, number: int, way: tuple[Any, ...]) -> None:
        chat, stream, per_event, writes, recomputes, usage, after = way
        manner = {"recomputes": recomputes, "recompute_after": after, "per_event": per_event, "writes": writes,
                  "usage": usage}  # fmt: skip
        more: dict[str, Any] = {"user": str(number), "manner": manner, "logprobs": 1 if number % 2 else None}
        if stream:
            more["stream_options"] = {"include_usage": True}
        body = question(chat, stream, text=f"Question {number}", tokens=20, **more)
        reply = await s.ask(body)
        prompt = body["messages"] if chat else body["prompt"]
        assert reply.status == 200 and reply.complete, reply
        assert reply.text() == answer_to(prompt, 20)
        assert reply.endings() == ["length"] and b"recomputed" not in reply.body.replace(b'"recomputes"', b"")
        assert reply.done == stream
        values = reply.events if stream else [reply.json]
        assert len({(value["id"], value["created"]) for value in values}) == 1
        told = reply.usage()
        if usage == "asked":
            assert told is not None and told["completion_tokens"] == 20
            assert told["total_tokens"] == told["prompt_tokens"] + 20
            assert told["prompt_tokens"] == len((json.dumps(prompt) if chat else prompt).split())
        if number % 2 and not stream:
            logprobs = values[0]["choices"][0]["logprobs"]
            assert len(logprobs["content" if chat else "tokens"]) == 20
        attempts = [seen for engine in s.decode for seen in engine.seen if seen.body["user"] == str(number)]
        assert len(attempts) == recomputes + 1
        assert len({seen.key for seen in attempts}) == recomputes + 1, "a new id each time"
        budgets = sorted(seen.body["max_tokens"] for seen in attempts)
        assert budgets == [20 - after * k for k in range(recomputes, -1, -1)]

    async def test() -> None:
        async with service(mode) as s:
            await asyncio.gather(*(one(s, number, way) for number, way in enumerate(ways)))
            assert s.server.router.recomputes > 100
            assert s.failures("prefill") == s.failures("decode") == [0, 0]
            await s.settled()

    run(test())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tokenize", [True, False])
def test_tokens_are_counted_by_the_engine_if_nothing_tells(stream: bool, tokenize: bool) -> None:
    """Several tokens per event and no usage: /tokenize knows, and without it the chunks are the best guess."""

    async def test() -> None:
        manner = Manner(recomputes=1, recompute_after=6, per_event=3, usage="none", tokenize=tokenize)
        async with service("layerwise", decode=1, manner=manner) as s:
            reply = await s.ask(question(False, stream, tokens=20))
            used = [seen.body["max_tokens"] for seen in s.decode[0].seen]
            if tokenize:
                assert used == [20, 14] and reply.text() == answer_to("Say it", 20)
                assert s.decode[0].others[0].body["prompt"] == answer_to("Say it", 6)
            else:
                assert used[1] == (18 if stream else 20 - len(answer_to("Say it", 6)) // 4)

    run(test())


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_of_token_ids_goes_on_with_token_ids(mode: str, stream: bool) -> None:
    async def test() -> None:
        async with service(mode, manner=Manner(recomputes=1, recompute_after=3)) as s:
            reply = await s.ask(question(False, stream, prompt=[5, 6, 7], tokens=8, return_token_ids=True))
            assert reply.text() == answer_to([5, 6, 7], 8)
            prompts = sorted((seen.body["prompt"] for e in s.decode for seen in e.seen), key=len)
            assert prompts == [[5, 6, 7], [5, 6, 7, FIRST_ID, FIRST_ID + 1, FIRST_ID + 2]]
            values = reply.events if stream else [reply.json]
            ids = [i for v in values for c in v["choices"] for i in c.get("token_ids") or ()]
            assert ids == list(range(FIRST_ID, FIRST_ID + 8))
            await s.settled()

    run(test())


@BOTH
def test_a_prompt_of_token_ids_without_theirs_cannot_go_on_once_streamed(mode: str) -> None:
    async def test() -> None:
        async with service(mode, manner=Manner(recomputes=1, recompute_after=3)) as s:
            reply = await s.ask(question(False, True, prompt=[5, 6, 7]))
            assert not reply.done and reply.error is not None
            assert "recomputation" in reply.error["message"]
            for engine in s.decode:
                engine.manner = Manner(recomputes=1, recompute_after=3)
            reply = await s.ask(question(False, False, prompt=[5, 6, 7]))
            assert reply.text() == answer_to([5, 6, 7], 8), "a whole answer simply starts again"
            await s.settled()

    run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_the_reference_place_for_a_chat(stream: bool) -> None:
    async def test() -> None:
        async with service("layerwise", manner=Manner(recomputes=1), chat_resume="first-message") as s:
            body = question(True, stream)
            reply = await s.ask(body)
            assert reply.text() == answer_to(body["messages"], 8)
            second = next(seen for e in s.decode for seen in e.seen if seen.body["max_tokens"] == 6)
            assert second.body["messages"][0]["content"] == "Be brief" + answer_to(body["messages"], 2)
            assert len(second.body["messages"]) == 2

    run(test())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
def test_given_up_exactly_at_the_limit_is_the_end(stream: bool, chat: bool) -> None:
    async def test() -> None:
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        body = question(chat, stream, tokens=6, **more)
        async with service("layerwise", manner=Manner(recomputes=1, recompute_after=4)) as s:
            for engine in s.decode:
                engine.manner.recomputes = 1
            reply = await s.ask(body)
            assert reply.text() == answer_to(body.get("messages") or body["prompt"], 6)
            usage = reply.usage()
            assert usage is not None and usage["completion_tokens"] == 6
            assert reply.endings() == ["length"] and reply.done == stream
            attempts = [seen for e in s.decode for seen in e.seen]
            assert sorted(seen.body["max_tokens"] for seen in attempts) == [2, 6]

    run(test())


@pytest.mark.parametrize("stop", [154829, "</s>", None])
def test_other_stop_reasons_pass(stop: object) -> None:
    async def test() -> None:
        async with service("layerwise", manner=Manner(stop_reason=stop)) as s:
            for stream in (False, True):
                reply = await s.ask(question(False, stream))
                assert reply.body == s.decode[int(stream)].seen[0].sent

    run(test())


def test_the_word_in_an_answer_is_only_a_word() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            for stream in (False, True):
                reply = await s.ask(question(False, stream, prompt="recomputed stop_reason", echo=True))
                assert reply.text() == "recomputed stop_reason" + answer_to("recomputed stop_reason", 8)
                assert sum(len(engine.seen) for engine in s.decode) == 1 + stream

    run(test())


# -- several answers ---------------------------------------------------------------------------------------------------

SHAPES: tuple[tuple[str, bool, Mapping[str, Any], list[Any], int], ...] = (
    ("n in a chat", True, {"n": 3}, [None] * 3, 3),
    ("n", False, {"n": 2}, ["Say it"] * 2, 2),
    ("texts", False, {"prompt": ["One", "Two", "Three"]}, ["One", "Two", "Three"], 1),
    ("ids", False, {"prompt": [[1, 2], [3]]}, [[1, 2], [3]], 1),
    ("texts with n", False, {"prompt": ["One", "Two"], "n": 2}, ["One", "One", "Two", "Two"], 2),
    (
        "more than run at a time",
        False,
        {"prompt": [f"Prompt {k}" for k in range(100)]},
        [f"Prompt {k}" for k in range(100)],
        1,
    ),
)


@BOTH
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("chat", "more", "prompts", "n"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_several_answers(
    mode: str, stream: bool, chat: bool, more: Mapping[str, Any], prompts: list[Any], n: int
) -> None:
    async def test() -> None:
        async with service(mode) as s:
            options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
            body = question(chat, stream, tokens=4, seed=7, **more, **options)
            reply = await s.ask(body)
            assert reply.status == 200 and reply.complete and reply.done == stream, reply
            for index, prompt in enumerate(prompts):
                assert reply.text(index) == answer_to(body["messages"] if chat else prompt, 4)
            assert reply.endings() == ["length"] * len(prompts)
            values = reply.events if stream else [reply.json]
            assert len({(value["id"], value["created"]) for value in values}) == 1
            if not stream:
                assert [choice["index"] for choice in values[0]["choices"]] == list(range(len(prompts)))
            usage = reply.usage()
            attempts = [seen for e in s.decode for seen in e.seen]
            assert usage is not None and usage["completion_tokens"] == 4 * len(prompts)
            each = [len(p) if isinstance(p, list) else len(p.split()) for p in prompts if p is not None]
            if not chat:
                assert usage["prompt_tokens"] == sum(each) // n, "each prompt counts once"
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert len(attempts) == len(prompts) and all("n" not in seen.body for seen in attempts)
            assert sorted(seen.body["seed"] for seen in attempts) == sorted(7 + k % n for k in range(len(prompts)))
            loads = [len(engine.seen) for engine in s.decode]
            assert max(loads) - min(loads) <= 1 or len(set(map(str, prompts))) > 1, "spread"
            await s.settled()

    run(test())


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_several_answers_that_are_given_up(mode: str, stream: bool) -> None:
    async def test() -> None:
        async with service(mode, manner=Manner(recomputes=2, per_event=2, writes="coalesced")) as s:
            reply = await s.ask(question(False, stream, prompt=["One", "Two", "Three"], tokens=9))
            for index, prompt in enumerate(("One", "Two", "Three")):
                assert reply.text(index) == answer_to(prompt, 9)
            assert reply.endings() == ["length"] * 3
            await s.settled()

    run(test())


@pytest.mark.parametrize(("more", "status"), [
    ({"n": 0}, 200), ({"n": "x"}, 200), ({"n": None}, 200), ({"prompt": []}, 200), ({"n": 20_000}, 400),
    ({"prompt": ["x"], "n": 1}, 200), ({"n": True}, 200),
])  # fmt: skip
def test_odd_numbers_of_answers_are_the_engines_to_judge(more: Mapping[str, Any], status: int) -> None:
    async def test() -> None:
        async with service("standard") as s:
            reply = await s.ask(question(False, False, **more))
            assert reply.status == status
            assert sum(len(e.seen) for e in s.decode) == (1 if status == 200 else 0)

    run(test())


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
def test_bad_requests_are_400_and_reach_nobody(path: str, raw: bytes, says: str) -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            reply = await ask(s.port, "POST", path, raw)
            assert reply.status == 400 and says in reply.json["error"]["message"]
            assert reply.json["error"]["type"] == "invalid_request_error"
            assert not any(e.seen for e in (*s.prefill, *s.decode)) and s.failures("decode") == [0, 0]

    run(test())


def test_a_body_that_is_too_large() -> None:
    async def test() -> None:
        async with service("layerwise", max_body_bytes=10_000) as s:
            assert (await s.ask(question(False, False, text="x" * 9_000))).status == 200
            reply = await s.ask(question(False, False, text="x" * 11_000))
            assert reply.status == 413 and "10000" in reply.json["error"]["message"]
            await s.settled()

    run(test())


@BOTH
def test_a_body_of_megabytes_passes_byte_by_byte(mode: str) -> None:
    async def test() -> None:
        text = "文" * 700_000
        async with service(mode) as s:
            raw = json.dumps({"prompt": text, "max_tokens": 2}, ensure_ascii=False).encode()
            reply = await ask(s.port, "POST", COMPLETIONS, raw)
            assert reply.status == 200 and reply.text() == answer_to(text, 2)
            assert len(s.decode[0].seen[0].raw) < len(raw) + 500, "not one byte longer than needed"

    run(test())


def test_a_compressed_body() -> None:
    async def test() -> None:
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

    run(test())


def test_a_body_that_is_not_compressed_as_it_says() -> None:
    async def test() -> None:
        async with service("standard", prefill=1, decode=1) as s:
            reply = await s.ask(question(False, False), {"Content-Encoding": "gzip"})
            assert reply.status == 400 and reply.json["error"]["type"] == "invalid_request_error"
            assert s.records()[-1]["status"] == 400
            await s.settled()

    run(test())


def test_too_many_requests() -> None:
    async def test() -> None:
        async with service("layerwise", max_requests=3, manner=Manner(seconds=0.1)) as s:
            running = [asyncio.ensure_future(s.ask(question(False, False))) for _ in range(3)]
            await until(lambda: s.server.metrics.active == 3)
            reply = await s.ask(question(False, False))
            assert reply.status == 429 and reply.headers["retry-after"] == "1"
            assert reply.json["error"]["type"] == "rate_limit_error"
            assert [(await each).status for each in running] == [200] * 3
            assert (await s.ask(question(False, False))).status == 200
            await s.settled()

    run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_an_old_client(stream: bool) -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            reply = await ask(s.port, "POST", COMPLETIONS, question(False, stream), version="1.0")
            assert reply.version == "HTTP/1.0" and reply.complete and "transfer-encoding" not in reply.headers
            assert reply.body == s.decode[0].seen[0].sent

    run(test())


def test_requests_on_one_connection_one_after_another_and_all_at_once() -> None:
    async def test() -> None:
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

    run(test())


def test_expect_continue_and_a_chunked_request() -> None:
    async def test() -> None:
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

    run(test())


@BOTH
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("writes", ["events", "coalesced", "split"])
def test_streams_in_any_framing(mode: str, framing: str, writes: str) -> None:
    async def test() -> None:
        async with service(mode, manner=Manner(framing=framing, writes=writes)) as s:
            for chat in (False, True):
                reply = await s.ask(question(chat, True, tokens=30))
                assert reply.body == s.decode[int(chat)].seen[0].sent and reply.done
            await s.settled()

    run(test())


# -- the metaserver ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ack", ["early", "late"])
def test_when_the_metaserver_answers(ack: str) -> None:
    async def test() -> None:
        async with service("layerwise", metaserver_ack=ack) as s:
            s.prefill[0].manner = Manner(seconds=0.3)
            running = asyncio.ensure_future(s.ask(question(False, False)))
            await until(lambda: s.prefill[0].seen)
            await asyncio.sleep(0.1)
            assert s.decode[0].statuses == ([200] if ack == "early" else [])
            assert (await running).status == 200
            await until(lambda: s.decode[0].statuses == [200])
            await s.settled()

    run(test())


@pytest.mark.parametrize(("ack", "unknown", "failed"), [("early", 200, 200), ("late", 404, 502)])
def test_what_the_metaserver_answers(ack: str, unknown: int, failed: int) -> None:
    async def test() -> None:
        async with service("layerwise", prefill=1, metaserver_ack=ack) as s:
            secret, stale = "0" * 32, "cmpl-00000000-0000-4000-8000-000000000000-0"
            for identity, status in ((stale, unknown), ("nonsense", unknown), (None, 400), (1, 400)):
                reply = await ask(s.server.callback_port, "POST", f"/v1/metaserver/{secret}", {"request_id": identity})
                assert reply.status == status, identity
            s.prefill[0].manner = Manner(fault="500")
            assert (await s.ask(question(False, False))).status == 500
            await until(lambda: s.decode[0].statuses == [failed])
            await s.settled()

    run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_prefill_that_dies_after_its_kv_cache_arrived_is_no_loss(stream: bool) -> None:
    """Decode has all it needs; a second prefill would write into memory that decode may have given to others."""

    async def test() -> None:
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

    run(test())


@pytest.mark.parametrize(("chat", "styles"), [
    (False, ("plain",)), (True, ("plain",)), (False, ("suffix",)), (True, ("suffix", "plain")), (False, ("sampled",)),
    (False, ("unknown", "plain", "plain", "suffix")),
])  # fmt: skip
def test_forms_of_the_id(chat: bool, styles: tuple[str, ...]) -> None:
    async def test() -> None:
        async with service("layerwise", manner=Manner(callbacks=styles, late_callback=True)) as s:
            assert (await s.ask(question(chat, False))).status == 200
            await until(lambda: s.decode[0].statuses == [200] * (len(styles) + 1))
            assert sum(len(engine.seen) for engine in s.prefill) == 1
            await s.settled()

    run(test())


def test_decode_that_needs_no_prefill_answers_without() -> None:
    async def test() -> None:
        async with service("layerwise", manner=Manner(callbacks=())) as s:
            assert (await s.ask(question(False, True))).done
            assert not s.prefill[0].seen
            await s.settled()

    run(test())


def test_many_callbacks_at_a_time() -> None:
    """The reference holds one of decode's 32 threads per prefill."""

    async def test() -> None:
        async with service("layerwise", prefill=1, decode=1) as s:
            s.prefill[0].manner = Manner(fault="hang")
            running = [asyncio.ensure_future(s.ask(question(False, False))) for _ in range(100)]
            await until(lambda: len(s.decode[0].statuses) == 100, 20)
            assert not any(task.done() for task in running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await s.settled(10.0)

    run(test())


# -- who is there ------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize("more", [{}, {"n": 2}])
def test_both_roles_are_checked_before_anything_is_sent(mode: str, role: str, more: Mapping[str, Any]) -> None:
    async def test() -> None:
        async with service(mode, fallback=False) as s:
            for engine in s.engines(role):
                for _ in range(4):
                    s.server.router.pools[role].failed(s.instance(engine))
            reply = await s.ask(question(False, True, **more))
            assert reply.status == 503 and reply.headers["retry-after"] == "5"
            assert role in reply.json["error"]["message"]
            assert not any(engine.seen for engine in (*s.prefill, *s.decode))
            assert (await ask(s.port, "GET", "/readyz")).status == 503
            assert (await ask(s.port, "GET", "/livez")).status == 200
            await s.settled()

    run(test())


@BOTH
def test_isolation_is_after_the_fourth_failure_and_ends_with_a_probe(mode: str) -> None:
    async def test() -> None:
        async with service(mode, probe_interval_seconds=0.2, retry_budget_percent=1000) as s:
            bad = s.instance(s.decode[0])
            s.decode[0].manner = Manner(fault="500", health=503)
            s.server.router.decode.policy = s.server.router.decode.policy
            counted = 0
            while bad.state == "healthy":
                assert (await s.ask(question(False, False))).status == 200
                counted += 1
                assert counted < 20
            assert bad.failures >= 4
            seen = len(s.decode[0].seen)
            for _ in range(5):
                assert (await s.ask(question(False, False))).status == 200
            assert len(s.decode[0].seen) == seen, "it gets nothing"
            s.decode[0].manner = Manner()
            await until(lambda: bad.state == "healthy", 1.0)
            assert bad.failures == 0 and bad.score == 0
            events = [r["event"] for r in s.records() if r["event"] in ("isolated", "readmitted")]
            assert events == ["isolated", "readmitted"]

    run(test())


def test_exactly_the_fourth_failed_request_isolates() -> None:
    async def test() -> None:
        async with service("layerwise", decode=1, manner=Manner()) as s:
            s.decode[0].manner = Manner(fault="500")
            for number in range(1, 5):
                assert s.instance(s.decode[0]).state == "healthy"
                assert (await s.ask(question(False, False))).status == 500
                assert s.instance(s.decode[0]).failures == number
            assert s.instance(s.decode[0]).state == "faulty"
            assert (await s.ask(question(False, False))).status == 503

    run(test())


@BOTH
def test_bad_clients_isolate_nobody(mode: str) -> None:
    async def test() -> None:
        async with service(mode) as s:
            for role in ("prefill", "decode"):
                for engine in s.engines(role):
                    engine.manner = Manner(fault="400")
                replies = await asyncio.gather(*(s.ask(question(False, k % 2 == 0)) for k in range(20)))
                assert all(r.status == 400 and r.json == refusal(400) for r in replies)
                for engine in s.engines(role):
                    engine.manner = Manner()
            assert s.failures("prefill") == s.failures("decode") == [0, 0]
            assert (await s.ask(question(False, False))).status == 200
            await s.settled()

    run(test())


def test_retries_stay_within_their_budget() -> None:
    async def test() -> None:
        async with service("layerwise", prefill=1, decode=8, max_failures=1000, retry_budget_percent=0) as s:
            for engine in s.decode:
                engine.manner = Manner(fault="500")
            for _ in range(100):
                assert (await s.ask(question(False, False))).status == 500
            assert sum(len(engine.seen) for engine in s.decode) == 100 + 64
            assert s.server.router.retries == 64

    run(test())


@pytest.mark.parametrize(("attempts", "tried"), [(0, 1), (1, 1), (2, 2), (9, 4)])
def test_attempts_are_limited_and_never_at_the_same_instance(attempts: int, tried: int) -> None:
    async def test() -> None:
        for mode, role in itertools.product(MODES, ("prefill", "decode")):
            async with service(mode, prefill=4, decode=4, max_retries=attempts) as s:
                for engine in s.engines(role):
                    engine.manner = Manner(fault="500")
                assert (await s.ask(question(False, False))).status == 500
                assert sorted(len(engine.seen) for engine in s.engines(role)) == [0] * (4 - tried) + [1] * tried

    run(test())


# -- the client leaves -------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["prefill", "decode"])
@pytest.mark.parametrize("way", ["reset", "close"])
def test_a_client_that_leaves_ends_both_halves_within_a_second(mode: str, stream: bool, where: str, way: str) -> None:
    async def test() -> None:
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

    run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_standard_prefill_is_told_when_the_client_leaves_in_between(stream: bool) -> None:
    """The KV cache that prefill holds is fetched by a request for one token."""

    async def test() -> None:
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

    run(test())


@BOTH
def test_a_client_that_leaves_a_stream(mode: str) -> None:
    async def test() -> None:
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

    run(test())


def test_a_client_that_leaves_while_it_sends_its_body() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            client = await Client.connect(s.port)
            client.send(b"POST /v1/completions HTTP/1.1\r\nHost: p\r\nContent-Length: 1000\r\n\r\n{")
            await until(lambda: any(c.deadline for site in s.server._sites for c in site.connections))
            client.reset()
            await s.settled(1.0)

    run(test())


def test_a_client_that_reads_slowly_slows_decode_down() -> None:
    """Two slow readers of 20 MB each: neither the proxy nor its sockets may take it all in."""

    async def test() -> None:
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

    run(test())


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


# -- connections -------------------------------------------------------------------------------------------------------


@BOTH
def test_connections_to_engines_are_reused(mode: str) -> None:
    async def test() -> None:
        async with service(mode, prefill=1, decode=1) as s:
            for _ in range(20):
                assert (await s.ask(question(False, True))).done
            for engine in (*s.prefill, *s.decode):  # one for the probe; an answer may overtake that of prefill
                assert engine.opened <= 5

    run(test())


@BOTH
def test_a_connection_that_the_engine_closed_is_not_a_failure(mode: str) -> None:
    """The keep-alive race: the engine closes what it thinks idle while a request is on its way."""

    async def test() -> None:
        async with service(mode, prefill=1, decode=1) as s:
            for engine in (*s.prefill, *s.decode):
                engine.manner = Manner(closes_idle=0.01)
            for number in range(40):
                assert (await s.ask(question(False, number % 2 == 0))).status == 200
                await asyncio.sleep(0.01 + number % 5 * 0.0005)
            for engine in (*s.prefill, *s.decode):
                engine.manner = Manner()
                assert (await s.ask(question(False, True))).done
                for wire in list(engine.wires):
                    wire.drop_next = True
            assert (await s.ask(question(False, True))).done, "a reused connection that dies is tried again"
            assert s.failures("prefill") == s.failures("decode") == [0]
            assert s.server.router.retries == 0
            await s.settled()

    run(test())


@pytest.mark.parametrize("stream", [False, True])
def test_decode_that_dies_after_its_callback_is_no_keep_alive_race(stream: bool) -> None:
    """Asked again under the same id, it would wait for ever for a prefill that was done once already."""

    async def test() -> None:
        async with service("layerwise", prefill=1, decode=2) as s:
            for _ in range(4):
                assert (await s.ask(question(False, stream))).status == 200
            for engine in s.decode:
                engine.manner = Manner(fault="pushed_reset", times=1, early_head=False)
            first = await s.ask(question(False, stream))
            assert first.status == 502 and s.failures("decode") == [1, 1]
            again = await s.ask(question(False, stream))
            assert again.text() == answer_to("Say it", 8)
            await s.settled()

    run(test(), 10)


def test_a_name_with_several_addresses_that_all_fail_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        original = loop.getaddrinfo

        async def resolve(host: Any, *rest: Any, **more: Any) -> Any:
            return [*await original("::1", *rest, **more), *await original("127.0.0.1", *rest, **more)]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        with pytest.raises(UpstreamError, match="connection refused"):
            await Endpoint(Address("localhost", 1), loop, Names(loop), 3.0).connection()

    run(test())


def test_a_name_is_resolved_for_every_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescheduled pod keeps its name and has another address."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        original, where = loop.getaddrinfo, {"engine.example": "127.0.0.1"}

        async def resolve(host: Any, *rest: Any, **more: Any) -> Any:
            return await original(where.get(host, host), *rest, **more)

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        async with service("standard", prefill=1, decode=1) as s:
            port = s.decode[0].port
            moved = (Address("engine.example", port),)
            s.server.router.decode.replace(moved)
            s.server.router.forget()
            assert (await s.ask(question(False, True))).done
            assert s.decode[0].seen
            await s.decode[0].stop()
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.2", port))
                other.listen()
                s.decode[0]._socket.close()
                s.decode[0]._socket = other
                await s.decode[0].start()
                where["engine.example"] = "127.0.0.2"
                assert (await s.ask(question(False, True))).done
                assert len(s.decode[0].seen) == 2

    run(test())


def test_ipv6() -> None:
    async def test() -> None:
        for mode in MODES:
            async with service(mode, family=socket.AF_INET6) as s:
                reply = await ask(s.port, "POST", COMPLETIONS, question(False, True), host="::1")
                assert reply.done
                assert s.decode[0].seen[0].headers["host"] == f"[::1]:{s.decode[0].port}"
                if mode == "layerwise":
                    url = s.decode[0].seen[0].body["kv_transfer_params"]["metaserver"]
                    assert url.startswith(f"http://[::1]:{s.server.callback_port}/v1/metaserver/")
                await s.settled()

    run(test())


# -- other paths -------------------------------------------------------------------------------------------------------


def test_healthcheck_counts_what_is_configured() -> None:
    async def test() -> None:
        async with service("layerwise", prefill=3, decode=2) as s:
            for engine in s.prefill:
                for _ in range(4):
                    s.server.router.prefill.failed(s.instance(engine))
            reply = await ask(s.port, "GET", "/healthcheck")
            assert (reply.status, reply.json) == (
                200, {"status": "ok", "prefill_instances": 3, "decode_instances": 2, "request_num": 0},
            )  # fmt: skip

    run(test())


def test_reset_prefix_cache_tells_everybody() -> None:
    async def test() -> None:
        async with service("layerwise", admin_token="sesame") as s:
            everybody, key = (*s.prefill, *s.decode), {"Authorization": "Bearer sesame"}
            assert (await ask(s.port, "POST", "/reset_prefix_cache")).status == 401
            assert not any(e.others for e in everybody)
            reply = await ask(s.port, "POST", "/reset_prefix_cache?reset_running=true&x=%20", None, key)
            assert (reply.status, reply.body) == (200, b"")
            assert [e.others[0].path for e in everybody] == ["/reset_prefix_cache?reset_running=true&x=%20"] * 4
            await s.decode[1].behave(Manner(fault="refuse"))
            s.prefill[0].manner = Manner(fault="500")
            reply = await ask(s.port, "POST", "/reset_prefix_cache", None, key)
            assert reply.status == 500
            assert reply.json == {"failed": [f"http://127.0.0.1:{e.port}" for e in (s.prefill[0], s.decode[1])]}
            await s.settled()

    run(test())


def test_models_are_those_of_the_first_that_answers() -> None:
    async def test() -> None:
        async with service("standard") as s:
            assert (await ask(s.port, "GET", "/v1/models")).json == MODELS
            assert [len(e.others) for e in (*s.prefill, *s.decode)] == [0, 0, 1, 0]
            await s.decode[0].behave(Manner(fault="refuse"))
            s.decode[1].manner = Manner(fault="500")
            assert (await ask(s.port, "GET", "/v1/models")).json == MODELS
            assert [len(e.others) for e in s.prefill] == [1, 0]
            for engine in s.prefill:
                await engine.behave(Manner(fault="refuse"))
            reply = await ask(s.port, "GET", "/v1/models")
            assert reply.status == 503 and reply.json["error"]["code"] == 503

    run(test())


def test_instances_are_closed_without_a_token() -> None:
    async def test() -> None:
        async with service("standard") as s:
            body = {"type": "decode", "instances": "127.0.0.1:1"}
            for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
                assert (await ask(s.port, "POST", "/instances/remove", body, headers)).status == 403

    run(test())


def test_instances_come_and_go() -> None:
    async def test() -> None:
        async with service("standard", prefill=1, decode=2, admin_token="sesame", waiting_retry_interval=0.05) as s:
            key = {"Authorization": "Bearer sesame"}
            one, two = (f"127.0.0.1:{e.port}" for e in s.decode)
            for wrong in ({}, {"Authorization": "Bearer other"}, {"Authorization": "sesame"}):
                assert (await ask(s.port, "POST", "/instances/add", {}, wrong)).status == 401
            bad: object
            for bad in (
                {},
                [],
                {"type": "x"},
                {"type": "decode"},
                {"type": "decode", "instances": [1]},
                {"type": "decode", "instances": "nowhere"},
                {"type": "decode", "instances": "h:99999"},
            ):
                assert (await ask(s.port, "POST", "/instances/add", bad, key)).status == 400, bad
            s.decode[0].manner = Manner(token_seconds=0.05)
            running = asyncio.ensure_future(s.ask(question(False, True)))
            await until(lambda: s.decode[0].seen)
            reply = await ask(s.port, "POST", "/instances/remove", {"type": "decode", "instances": one}, key)
            assert reply.status == 200 and one in reply.json["message"]
            assert reply.json["current_decode_instances"] == [two]
            assert reply.json["current_prefill_instances"] == [f"127.0.0.1:{s.prefill[0].port}"]
            for _ in range(3):
                assert (await s.ask(question(False, False))).status == 200
            assert len(s.decode[0].seen) == 1
            assert (await running).done, "what runs is not cut"
            s.server.router.decode.sweep()
            assert Address("127.0.0.1", s.decode[0].port) not in s.server.router.decode.instances
            s.decode[0].manner = Manner(health=503)
            reply = await ask(s.port, "POST", "/instances/add", {"type": "decode", "instances": [one]}, key)
            assert reply.json["current_decode_instances"] == [two], "not before it is healthy"
            s.decode[0].manner = Manner()
            await until(lambda: s.server.router.decode.usable == 2, 1.0)
            assert "sesame" not in s.log.getvalue()
            for _ in range(2):
                assert (await s.ask(question(False, False))).status == 200
            assert len(s.decode[0].seen) == 2

    run(test())


def test_an_instance_that_never_gets_healthy_is_not_added() -> None:
    async def test() -> None:
        async with service("standard", decode=2, admin_token="t", waiting_retry_interval=0.02,
                           max_waiting_retries=2) as s:  # fmt: skip
            instance, key = f"127.0.0.1:{s.decode[0].port}", {"Authorization": "Bearer t"}
            await ask(s.port, "POST", "/instances/remove", {"type": "decode", "instances": instance}, key)
            s.decode[0].manner, probes = Manner(health=503), s.decode[0].probes
            await ask(s.port, "POST", "/instances/add", {"type": "decode", "instances": instance}, key)
            await until(lambda: any(r["event"] == "not_added" for r in s.records()))
            assert s.decode[0].probes - probes == 3

    run(test())


@pytest.mark.parametrize("path", ["/v1/other", "/v1/metaserver", "/v1/completions/", "/x"])
def test_other_paths_are_404(path: str) -> None:
    async def test() -> None:
        async with service("standard", prefill=1, decode=1) as s:
            for method, where, status in (("POST", path, 404), ("GET", COMPLETIONS, 405)):
                reply = await ask(s.port, method, where, {"prompt": "x"} if method == "POST" else None)
                assert (reply.status, reply.json["error"]["code"]) == (status, status)
                assert 'end="' in (await ask(s.port, "GET", "/metrics")).body.decode()
            assert [r["status"] for r in s.records() if r["event"] == "refused"] == [404, 405]

    run(test())


def test_the_log_has_one_line_per_request() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            await s.prefill[0].behave(Manner(fault="refuse"))
            reply = await s.ask(question(True, True), {"X-Request-Id": "mine"})
            assert reply.done
            await s.ask(question(False, False, tokens=5))
            lines = [r for r in s.records() if r["event"] == "request"]
            first, second = lines
            assert first["client_id"] == "mine" and first["id"] == s.decode[0].seen[0].key
            assert first["prefill"] == f"127.0.0.1:{s.prefill[1].port}"
            assert first["decode"] == f"127.0.0.1:{s.decode[0].port}"
            assert (first["status"], first["end"], first["stream"], first["attempts"]) == (200, "complete", True, 1)
            assert first["tokens"] >= 8 and second["tokens"] == 5 and first["path"] == CHAT
            assert 0 < first["first_byte_ms"] <= first["total_ms"] and first["prefill_ms"] > 0

    run(test())


def test_metrics_and_status() -> None:
    async def test() -> None:
        async with service("layerwise") as s:
            await s.ask(question(False, False))
            for _ in range(4):
                s.server.router.prefill.failed(s.instance(s.prefill[1]))
            metrics = (await ask(s.port, "GET", "/metrics")).body.decode()
            assert f'stormc_proxy_requests_total{{path="{COMPLETIONS}",end="complete",status="200"}} 1' in metrics
            name = f'{{role="prefill",instance="127.0.0.1:{s.prefill[1].port}"}}'
            assert f"stormc_proxy_instance_up{name} 0" in metrics
            assert f"stormc_proxy_instance_score{name} +Inf" in metrics
            for line in metrics.splitlines():
                assert re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{.*\})? (\+Inf|[0-9.e+-]+)", line), line
            status = (await ask(s.port, "GET", "/status")).json
            assert status["ready"] and status["requests"] == 1
            assert [i["state"] for i in status["prefill"]] == ["healthy", "faulty"]
            assert status["prefill"][1]["score"] is None

    run(test())


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    ["--prefiller-port", "8001", "--decoder-port", "8002", "--prefiller-host", "p", "--decoder-host", "d"],
    ["--prefiller-ports", "8001", "--decoder-ports", "8002", "--prefiller-hosts", "p", "--decoder-hosts", "d"],
    ["--prefiller-p", "8001", "--decoder-p", "8002", "--prefiller-h", "p", "--decoder-h", "d"],
])  # fmt: skip
def test_abbreviated_flags(arguments: list[str]) -> None:
    settings, path = from_arguments(["--host", "10.0.0.1", "--port", "8080", *arguments])
    assert (settings.prefill, settings.decode) == ((Address("p", 8001),), (Address("d", 8002),))
    assert (settings.host, settings.port, path) == ("10.0.0.1", 8080, None)


def test_repeated_hosts_with_consecutive_ports() -> None:
    hosts = ["10.0.0.1"] * 4 + ["10.0.0.2"] * 4
    ports = [str(9000 + k) for k in range(4)] * 2
    decoders = ["--decoder-hosts", *hosts, "--decoder-ports", *ports]
    settings, _ = from_arguments([*decoders, "--prefiller-hosts", "[fd00::1]"])
    assert len(settings.decode) == 8 and settings.decode[5] == Address("10.0.0.2", 9001)
    assert settings.prefill == (Address("fd00::1", 8001),) and str(settings.prefill[0]) == "[fd00::1]:8001"


def test_defaults_are_those_of_the_reference_and_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings, _ = from_arguments([])
    assert (settings.port, settings.host, settings.max_retries, settings.retry_delay) == (8000, "localhost", 3, 0.001)
    assert (settings.prefill, settings.decode) == ((Address("localhost", 8001),), (Address("localhost", 8002),))
    assert (settings.max_failures, settings.probe_interval_seconds, settings.probe_timeout_seconds) == (3, 5.0, 2.0)
    assert not settings.api_key
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert from_arguments([])[0].api_key == "k" and "'k'" not in repr(from_arguments([])[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"])
def test_a_wildcard_cannot_be_called_back(host: str) -> None:
    with pytest.raises(SettingsError, match="call back"):
        from_arguments(["--host", host])
    with pytest.raises(SettingsError, match="call back"):
        from_arguments(["--advertise-host", host])
    assert from_arguments(["--host", host, "--mode", "standard"])[0].host == host
    settings, _ = from_arguments(["--host", host, "--advertise-host", "[fd00::2]", "--port", "80"])
    assert settings.advertised == "fd00::2"


@pytest.mark.parametrize("host", [
    "192.0.0.3192.0.0.3", "", "1.2.3", "a..b", "http://a", "a b", "a:1", "-h?", "a" * 64, "ä",
])  # fmt: skip
@pytest.mark.parametrize("flag", ["--prefiller-hosts", "--decoder-hosts", "--advertise-host"])
def test_typing_errors_in_hosts(flag: str, host: str) -> None:
    if flag == "--advertise-host" and not host:
        return
    with pytest.raises(SettingsError):
        from_arguments([f"{flag}={host}"])


@pytest.mark.parametrize("host", [
    "a", "storm-prefill-0-1", "a.b.svc.cluster.local.", "10.0.0.1", "fd00::1", "1a.2", "x_y",
])  # fmt: skip
def test_sound_hosts(host: str) -> None:
    assert checked(Settings(prefill=(Address(host, 1),))).prefill[0].host == host


@pytest.mark.parametrize("arguments", [
    ["--prefiller-hosts", "a", "b"], ["--decoder-ports", "1", "2"], ["--decoder-ports", "70000"], ["--port", "-1"],
    ["--prefiller-hosts", "a", "a", "--prefiller-ports", "1", "1"], ["--probe-interval", "0"],
])  # fmt: skip
def test_settings_that_cannot_work(arguments: list[str]) -> None:
    with pytest.raises(SettingsError):
        from_arguments(arguments)


# -- the config file ---------------------------------------------------------------------------------------------------


def _mount(directory: Path, version: int, document: object) -> None:
    """Write a config file as a ConfigMap mount does: a link to a directory is swapped."""
    data = directory / f"..v{version}"
    data.mkdir()
    (data / "proxy.json").write_text(json.dumps(document), encoding="utf-8")
    link = directory / "..new"
    link.symlink_to(data.name)
    os.replace(link, directory / "..data")
    target = directory / "proxy.json"
    if not target.is_symlink():
        target.symlink_to("..data/proxy.json")


@BOTH
def test_a_reload_under_load_loses_nothing(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc_proxy.edge.server.TICK_SECONDS", 0.05)

    async def test() -> None:
        _mount(tmp_path, 0, {})
        async with service(mode, prefill=3, decode=3, config=tmp_path / "proxy.json") as s:
            for engine in s.decode:
                engine.manner = Manner(token_seconds=0.005)
            replies: list[Reply] = []
            stop = False

            async def load(number: int) -> None:
                client = await Client.connect(s.port)
                while not stop:
                    client.send(request("POST", COMPLETIONS, question(False, number % 2 == 0, text=f"Q{number}")))
                    replies.append(await client.reply())
                    assert replies[-1].status == 200 and replies[-1].text() == answer_to(f"Q{number}", 8)
                client.close()

            tasks = [asyncio.ensure_future(load(number)) for number in range(8)]

            def document(*numbers: int) -> dict[str, Any]:
                return {
                    role: [{"host": "127.0.0.1", "port": s.engines(role)[n].port} for n in numbers]
                    for role in ("prefill", "decode")
                }

            def hosts(role: str) -> list[int]:
                return [i.address.port for i in s.server.router.pools[role]]

            for version, numbers in enumerate([(0, 1), (1, 2), (2,), (0, 1, 2), (0,)], 1):
                _mount(tmp_path, version, {**document(*numbers), "maxFailures": version})
                for role in ("prefill", "decode"):
                    await until(lambda role=role, numbers=numbers: sorted(hosts(role)) == sorted(
                        s.engines(role)[n].port for n in numbers), 2.0)  # fmt: skip
            assert s.server.router.prefill.policy.max_failures == 5
            counts = [len(engine.seen) for engine in s.decode]
            await asyncio.sleep(0.1)
            assert [len(engine.seen) for engine in s.decode][1:] == counts[1:], "what left gets no more"
            _mount(tmp_path, 9, {"decode": "x"})
            await until(lambda: any(r["event"] == "reload_failed" for r in s.records()))
            stop = True
            await asyncio.gather(*tasks)
            assert len(replies) > 50
            await s.settled()
            assert sum(1 for r in s.records() if r["event"] == "reloaded") == 5
            assert all(r["status"] == 200 for r in s.records() if r["event"] == "request")

    run(test())


def test_a_reload_forgets_what_the_file_said_before_and_keeps_what_holds_until_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stormc_proxy.edge.server.TICK_SECONDS", 0.01)
    config = tmp_path / "proxy.json"

    async def test() -> None:
        config.write_text("{}", encoding="utf-8")
        async with service("layerwise", config=config, max_failures=2) as s:

            async def reloaded(text: str, event: str = "reloaded") -> dict[str, Any]:
                before = len(s.records())
                config.write_text(text, encoding="utf-8")
                await until(lambda: any(r["event"] == event for r in s.records()[before:]))
                return next(r for r in s.records()[before:] if r["event"] == event)

            record = await reloaded('{"panic": true, "maxFailures": 1, "mode": "standard", "maxBodyBytes": 9}')
            assert record["waits_for_start"] == ["mode", "max_body_bytes"]
            policy = s.server.router.prefill.policy
            assert (policy.panic, policy.max_failures) == (True, 1)
            assert (await s.ask(question(False, True))).done, "layerwise until the next start, and no limit of 9 bytes"
            await reloaded("[" * 100_000, "reload_failed")
            await reloaded("{}")
            policy = s.server.router.prefill.policy
            assert (policy.panic, policy.max_failures) == (False, 2)
            await s.settled()

    run(test())


def config_errors() -> Iterator[object]:
    """Documents that cannot be used."""
    yield from ([], "x", {"unknown": 1}, {"prefill": 1}, {"prefill": ["a:1"]}, {"prefill": [{"host": "a"}]})
    yield from ({"prefill": [{"host": "a", "port": "1"}]}, {"maxFailures": "3"}, {"maxFailures": -1}, {"panic": 1})
    yield from ({"mode": "x"}, {"chatResume": "x"}, {"metaserverAck": "x"}, {"probeIntervalSeconds": 0}, {"port": 1.5})


@pytest.mark.parametrize("document", list(config_errors()), ids=json.dumps)
def test_config_files_that_cannot_be_used(tmp_path: Path, document: object) -> None:
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SettingsError):
        from_arguments(["--config", str(path)])
    with pytest.raises(SettingsError):
        from_arguments(["--config", str(tmp_path / "missing.json")])


def test_the_config_file_wins_over_flags(tmp_path: Path) -> None:
    path = tmp_path / "proxy.json"
    document = {"mode": "standard", "decode": [{"host": "d", "port": 5}], "maxFailures": 7, "slowStartSeconds": 3}
    path.write_text(json.dumps(document), encoding="utf-8")
    settings, found = from_arguments(["--config", str(path), "--max-failures", "1", "--prefiller-hosts", "p"])
    assert (settings.mode, settings.decode, settings.max_failures) == ("standard", (Address("d", 5),), 7)
    assert settings.prefill == (Address("p", 8001),) and settings.slow_start_seconds == 3 and found == path


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_black_hole_costs_no_more_than_its_timeout() -> None:
    """Connections to an address that swallows packets, as after a loss of power."""

    async def test() -> None:
        async with service("standard", connect_timeout_seconds=0.2, probe_timeout_seconds=0.1) as s:
            with socket.socket() as full:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                port = full.getsockname()[1]
                stuffing = []
                for _ in range(4):  # a full backlog drops further handshakes
                    filler = socket.socket()
                    filler.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        filler.connect(("127.0.0.1", port))
                    stuffing.append(filler)
                await asyncio.sleep(0.05)
                real = Address("127.0.0.1", s.decode[0].port)
                s.server.router.decode.remove(real)
                s.server.router.decode.replace([Address("127.0.0.1", port)])
                s.server.router.decode.add(real)
                began = time.monotonic()
                for _ in range(2):
                    assert (await s.ask(question(False, True))).done
                assert time.monotonic() - began < 1.0
                swallowed = s.server.router.decode.instances[Address("127.0.0.1", port)]
                assert swallowed.failed_requests == 2
                for filler in stuffing:
                    filler.close()
            await s.settled()

    run(test())


def test_a_long_queue_is_no_fault() -> None:
    async def test() -> None:
        async with service("layerwise", probe_interval_seconds=0.1, probe_timeout_seconds=0.1) as s:
            s.decode[0].manner = Manner(seconds=0.5)
            assert (await s.ask(question(False, True))).done
            assert s.failures("decode") == [0, 0]

    run(test())
