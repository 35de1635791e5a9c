"""Answers that decode gives up, and requests for several answers: the client sees one that is whole."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.proxy.answers import FIRST_ID, answer_to
from tests.proxy.client import question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)


# -- recompute ---------------------------------------------------------------------------------------------------------


@BOTH
async def test_an_answer_given_up_looks_like_one_that_was_not(mode: str) -> None:
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

    async with service(mode) as s:
        await asyncio.gather(*(one(s, number, way) for number, way in enumerate(ways)))
        assert s.server.router.counts.recomputes > 100
        assert s.failures("prefill") == s.failures("decode") == [0, 0]
        await s.settled()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tokenize", [True, False])
async def test_tokens_are_counted_by_the_engine_if_nothing_tells(stream: bool, tokenize: bool) -> None:
    """Several tokens per event and no usage: /tokenize knows, and without it the chunks are the best guess."""
    manner = Manner(recomputes=1, recompute_after=6, per_event=3, usage="none", tokenize=tokenize)
    async with service("layerwise", decode=1, manner=manner) as s:
        reply = await s.ask(question(False, stream, tokens=20))
        used = [seen.body["max_tokens"] for seen in s.decode[0].seen]
        if tokenize:
            assert used == [20, 14] and reply.text() == answer_to("Say it", 20)
            assert s.decode[0].others[0].body["prompt"] == answer_to("Say it", 6)
        else:
            assert used[1] == (18 if stream else 20 - len(answer_to("Say it", 6)) // 4)


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_of_token_ids_goes_on_with_token_ids(mode: str, stream: bool) -> None:
    async with service(mode, manner=Manner(recomputes=1, recompute_after=3)) as s:
        reply = await s.ask(question(False, stream, prompt=[5, 6, 7], tokens=8, return_token_ids=True))
        assert reply.text() == answer_to([5, 6, 7], 8)
        prompts = sorted((seen.body["prompt"] for e in s.decode for seen in e.seen), key=len)
        assert prompts == [[5, 6, 7], [5, 6, 7, FIRST_ID, FIRST_ID + 1, FIRST_ID + 2]]
        values = reply.events if stream else [reply.json]
        ids = [i for v in values for c in v["choices"] for i in c.get("token_ids") or ()]
        assert ids == list(range(FIRST_ID, FIRST_ID + 8))
        await s.settled()


@BOTH
async def test_a_prompt_of_token_ids_without_theirs_cannot_go_on_once_streamed(mode: str) -> None:
    async with service(mode, manner=Manner(recomputes=1, recompute_after=3)) as s:
        reply = await s.ask(question(False, True, prompt=[5, 6, 7]))
        assert not reply.done and reply.error is not None
        assert "recomputation" in reply.error["message"]
        for engine in s.decode:
            engine.manner = Manner(recomputes=1, recompute_after=3)
        reply = await s.ask(question(False, False, prompt=[5, 6, 7]))
        assert reply.text() == answer_to([5, 6, 7], 8), "a whole answer simply starts again"
        await s.settled()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_reference_place_for_a_chat(stream: bool) -> None:
    async with service("layerwise", manner=Manner(recomputes=1), chat_resume="first-message") as s:
        body = question(True, stream)
        reply = await s.ask(body)
        assert reply.text() == answer_to(body["messages"], 8)
        second = next(seen for e in s.decode for seen in e.seen if seen.body["max_tokens"] == 6)
        assert second.body["messages"][0]["content"] == "Be brief" + answer_to(body["messages"], 2)
        assert len(second.body["messages"]) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
async def test_given_up_exactly_at_the_limit_is_the_end(stream: bool, chat: bool) -> None:
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


@pytest.mark.parametrize("stop", [154829, "</s>", None])
async def test_other_stop_reasons_pass(stop: object) -> None:
    async with service("layerwise", manner=Manner(stop_reason=stop)) as s:
        for stream in (False, True):
            reply = await s.ask(question(False, stream))
            assert reply.body == s.decode[int(stream)].seen[0].sent


async def test_the_word_in_an_answer_is_only_a_word() -> None:
    async with service("layerwise") as s:
        for stream in (False, True):
            reply = await s.ask(question(False, stream, prompt="recomputed stop_reason", echo=True))
            assert reply.text() == "recomputed stop_reason" + answer_to("recomputed stop_reason", 8)
            assert sum(len(engine.seen) for engine in s.decode) == 1 + stream


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
async def test_several_answers(
    mode: str, stream: bool, chat: bool, more: Mapping[str, Any], prompts: list[Any], n: int
) -> None:
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


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_that_are_given_up(mode: str, stream: bool) -> None:
    async with service(mode, manner=Manner(recomputes=2, per_event=2, writes="coalesced")) as s:
        reply = await s.ask(question(False, stream, prompt=["One", "Two", "Three"], tokens=9))
        for index, prompt in enumerate(("One", "Two", "Three")):
            assert reply.text(index) == answer_to(prompt, 9)
        assert reply.endings() == ["length"] * 3
        await s.settled()


@pytest.mark.parametrize(("more", "status"), [
    ({"n": 0}, 200), ({"n": "x"}, 200), ({"n": None}, 200), ({"prompt": []}, 200), ({"n": 20_000}, 400),
    ({"prompt": ["x"], "n": 1}, 200), ({"n": True}, 200),
])  # fmt: skip
async def test_odd_numbers_of_answers_are_the_engines_to_judge(more: Mapping[str, Any], status: int) -> None:
    async with service("standard") as s:
        reply = await s.ask(question(False, False, **more))
        assert reply.status == status
        assert sum(len(e.seen) for e in s.decode) == (1 if status == 200 else 0)
