"""What is an answer of decode: the first event with data, and nothing before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.proxy.answers import answer_to
from tests.proxy.client import Client, Reply, question
from tests.proxy.manner import Manner
from tests.proxy.service import service, until

BOTH = pytest.mark.parametrize("mode", ["layerwise", "standard"])
COMMENTS = Manner(comments=0.02)


def told(reply: Reply) -> bytes:
    """A stream without its comments."""
    return reply.body.replace(b": keep-alive\n\n", b"")


async def test_a_prefill_that_fails_is_replaced_although_decode_sends_comments() -> None:
    async with service("layerwise") as s:
        for engine in s.decode:
            engine.manner = COMMENTS
        s.prefill[0].manner = s.prefill[1].manner = Manner(fault="500", times=1, seconds=0.1)
        s.prefill[1].manner = Manner()
        reply = await s.ask(question(True, True))
        assert reply.complete and reply.done
        assert answer_to(question(True, True)["messages"], 8).encode() in b"".join([reply_text(reply)])
        await s.settled()


def reply_text(reply: Reply) -> bytes:
    """What the events say."""
    parts = [e["choices"][0]["delta"].get("content", "") for e in Reply(body=told(reply)).events if e["choices"]]
    return "".join(parts).encode()


@pytest.mark.parametrize("comments", [0.0, 0.02])
async def test_nobody_waits_for_ever_when_no_prefill_works(comments: float) -> None:
    async with service("layerwise") as s:
        for engine in s.decode:
            engine.manner = Manner(comments=comments)
        for engine in s.prefill:
            engine.manner = Manner(fault="500")
        reply = await asyncio.wait_for(s.ask(question(True, True)), 5)
        if reply.status == 200:  # a comment went out, so that the status was
            assert comments and reply.complete and not reply.done
            error = Reply(body=told(reply)).error
            assert error is not None and error["code"] == 500 and error["message"] == "engine says 500 «ü»"
        else:
            assert reply.status == 500
        await s.settled()


@BOTH
async def test_decode_that_dies_after_a_comment_is_replaced(mode: str) -> None:
    async with service(mode) as s:
        s.decode[0].manner = Manner(comments=0.01, fault="reset_after", times=1)
        reply = await s.ask(question(False, True))
        assert reply.complete and told(reply).endswith(b"data: [DONE]\n\n")
        assert Reply(body=told(reply)).text() == answer_to("Say it", 8)
        await s.settled()


async def test_comments_keep_no_idle_stream_alive() -> None:
    async with service("layerwise", decode=1, stream_idle_timeout_seconds=0.3) as s:
        s.decode[0].manner = Manner(comments=0.02, callbacks=(), seconds=30)
        reply = await asyncio.wait_for(s.ask(question(False, True)), 5)
        assert reply.status == 200 and not reply.done and b'"error"' in reply.body
        await s.settled()


@BOTH
async def test_a_later_error_event_goes_on_and_counts(mode: str) -> None:
    async with service(mode, decode=1) as s:
        s.decode[0].manner = Manner(fault="error_later")
        reply = await s.ask(question(False, True))
        assert reply.status == 200 and b"engine says 500" in reply.body
        assert s.failures("decode") == [1]
        ends = [r["end"] for r in s.records() if r["event"] == "request"]
        assert ends == ["engine error"]
        await s.settled()


@BOTH
async def test_a_broken_instance_that_answers_streams_with_errors_is_isolated(mode: str) -> None:
    async with service(mode) as s:
        s.decode[0].manner = Manner(fault="error_first")
        replies = [await s.ask(question(False, True)) for _ in range(20)]
        assert all(reply.done and reply.error is None for reply in replies)
        assert s.instance(s.decode[0]).state == "faulty" and len(s.decode[0].seen) == 4


@pytest.mark.parametrize("status", [401, 404, 429])
@BOTH
async def test_an_instance_that_refuses_at_once_does_not_attract_the_traffic(mode: str, status: int) -> None:
    async with service(mode) as s:
        s.decode[0].manner = Manner(fault=str(status))
        s.decode[1].manner = Manner(seconds=0.02)
        replies = await asyncio.gather(*(s.ask(question(False, False)) for _ in range(40)))
        assert [reply.status for reply in replies] == [200] * 40
        assert s.instance(s.decode[0]).state == "faulty"


async def test_a_lost_push_is_tried_elsewhere() -> None:
    """Prefill answers, but its KV cache never arrives: vLLM's decode is silent for ever then."""
    async with service("layerwise", first_event_timeout_seconds=0.2) as s:
        s.decode[0].manner = Manner(fault="pushed_reset", seconds=30)
        s.decode[0].manner = Manner(seconds=30, callbacks=("plain",))
        reply = await asyncio.wait_for(s.ask(question(False, True)), 5)
        assert reply.done and reply.text() == answer_to("Say it", 8)
        assert s.failures("decode") == [1, 0]
        await s.settled()


async def test_a_heartbeat_while_nothing_comes() -> None:
    async with service("layerwise", heartbeat_seconds=0.05, manner=Manner(seconds=0.3, early_head=False)) as s:
        client = await Client.connect(s.port)
        reply = await s.ask(question(False, True))
        client.close()
        assert reply.body.count(b": keep-alive\n\n") >= 2 and reply.status == 200
        assert Reply(body=told(reply)).done and Reply(body=told(reply)).text() == answer_to("Say it", 8)
        await s.settled()


# -- when a role is gone -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_decode_serves_alone_while_no_prefill_is_usable(mode: str, stream: bool) -> None:
    async with service(mode) as s:
        for engine in s.prefill:
            for _ in range(4):
                s.server.router.prefill.failed(s.instance(engine))
        reply = await s.ask(question(False, stream))
        assert reply.status == 200 and reply.text() == answer_to("Say it", 8)
        assert sum(engine.alone for engine in s.decode) == 1 and s.server.router.counts.alone == 1
        assert [r["alone"] for r in s.records() if r["event"] == "request"] == [True]
        await s.settled()


@BOTH
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("more", [{}, {"stream_options": {"include_usage": True}}, {"n": 2}])
async def test_a_stream_goes_on_at_another_instance(mode: str, chat: bool, more: dict[str, Any]) -> None:
    async with service(mode) as s:
        s.decode[0].manner = Manner(fault="cut_reset", times=1)
        reply = await s.ask(question(chat, True, tokens=9, **more))
        prompt = question(chat, True)["messages"] if chat else "Say it"
        assert reply.done and reply.error is None
        assert {reply.text(index) for index in range(2 if "n" in more else 1)} == {answer_to(prompt, 9)}
        assert len({event["id"] for event in reply.events}) == 1
        usage = reply.usage()
        assert "stream_options" not in more or (usage is not None and usage["completion_tokens"] == 9)
        assert sum(r.get("resumes", 0) for r in s.records()) == 1
        await s.settled()


async def test_a_stream_that_cannot_go_on_ends_visibly() -> None:
    for settings in ({"resume_streams": False}, {"decode": 1}):
        async with service("layerwise", **settings) as s:
            s.decode[0].manner = Manner(fault="cut_reset", times=1)
            reply = await s.ask(question(False, True))
            assert reply.status == 200 and not reply.done and reply.error is not None
            await until(lambda s=s: not s.leaks())
