"""The fault matrix on real sockets: every client gets the right bytes or a visible error, and nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.proxy.answers import answer_to, refusal
from tests.proxy.client import Reply, question
from tests.proxy.engine import Engine
from tests.proxy.faults_table import ANSWER, DOCS, EVENT, NOTHING, ROWS, Cell, Row, cells, written
from tests.proxy.manner import Manner
from tests.proxy.service import PATIENCE, Service, service, until

TOKENS = 8
SECONDS = 25.0


def row_name(row: Row) -> str:
    """For the name of a test."""
    return f"{row.role}: {row.title}"


@pytest.mark.parametrize("row", ROWS, ids=row_name)
async def test_fault(row: Row) -> None:
    ends = await asyncio.gather(*(_run(cell) for cell in cells(row)), return_exceptions=True)
    wrong = []
    for cell, end in zip(cells(row), ends, strict=True):
        if isinstance(end, Exception):
            end.add_note(_name(cell))
            wrong.append(end)
    if wrong:
        raise ExceptionGroup("runs", wrong)


def test_the_published_matrix_is_this_one() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert written(text) == text, "run make golden"


def _name(cell: Cell) -> str:
    return f"{cell.mode}, {'stream' if cell.stream else 'whole'}, {'both' if cell.both else 'one'}: {cell.outcome}"


def _body(cell: Cell) -> dict[str, Any]:
    """Half of the runs are chats."""
    chat = cell.stream == (cell.mode == "layerwise") and "prompt" not in cell.row.request
    return question(chat, cell.stream, tokens=TOKENS, **cell.row.request)


async def _run(cell: Cell) -> None:
    row = cell.row
    async with service(cell.mode, **row.settings) as running:
        engines = running.engines(row.role)[: 2 if cell.both else 1]
        for engine in engines:
            await engine.behave(Manner(**row.manner))
        body, began = _body(cell), time.monotonic()
        reply = await asyncio.wait_for(running.ask(body), SECONDS)
        left = time.monotonic()
        reply.body = reply.body.replace(b": keep-alive\n\n", b"")
        _check(cell, reply, body, running)
        await running.settled(1.0)
        for engine in (*running.prefill, *running.decode):
            assert all(seen.left <= left + PATIENCE for seen in engine.seen), "aborted late"
        _check_blame(cell, running, engines)
        if row.role == "prefill" or not cell.both:  # else nobody is left who could tell prefill
            await until(lambda: not running.fabric.held, 1.0, lambda: f"KV is held: {running.fabric.held}")
        if "callbacks" in row.manner or "late_callback" in row.manner:
            wanted = len(row.manner.get("callbacks", "pl"))
            decode = next(engine for engine in running.decode if engine.seen)
            await until(lambda: decode.statuses == [200] * wanted, 1.0, lambda: f"callbacks got {decode.statuses}")
            assert sum(len(engine.seen) for engine in running.prefill) == 1, "prefill twice"
        assert left - began < SECONDS


def _check(cell: Cell, reply: Reply, body: Mapping[str, Any], running: Service) -> None:
    outcome = cell.outcome
    assert reply.headers.get("x-request-id"), "no X-Request-Id"
    if outcome == ANSWER:
        assert (reply.status, reply.complete) == (200, True), reply
        for index, text in enumerate(_expected(body)):
            assert reply.text(index) == text
        assert reply.endings() == ["length"] * len(_expected(body))
        assert not cell.stream or (reply.done and reply.error is None)
        shown = reply.events if cell.stream else [reply.json]
        assert len({value["id"] for value in shown}) == 1
        if not cell.stream:
            assert reply.json["usage"]["completion_tokens"] == TOKENS * len(_expected(body))
        resumed = cell.stream and cell.row.role == "decode" and cell.row.manner.get("fault", "").startswith("cut")
        if not cell.row.request and "recomputes" not in cell.row.manner and not resumed:
            sent = [seen.sent for engine in running.decode for seen in engine.seen if seen.finished]
            sent = [body for body in sent if body and b"engine says" not in body]
            assert len(sent) == 1
            assert reply.body == sent[0] if cell.stream else _without_cached(reply.json) == json.loads(sent[0])
    elif outcome == EVENT:
        assert (reply.status, reply.complete, reply.done) == (200, True, False), reply
        assert reply.error is not None and reply.error["message"]
        for index, text in enumerate(_expected(body)):
            assert text.startswith(reply.text(index))
        assert cell.row.manner.get("recompute_after") == 0 or any(reply.text(index) for index in range(3))
        assert b"[DONE]" not in reply.body
    elif outcome == NOTHING:
        assert (reply.status, reply.complete, reply.body) == (200, True, b""), reply
    elif outcome.endswith("!"):
        status = int(outcome[:-1])
        assert (reply.status, reply.complete) == (status, True), reply
        assert reply.json == refusal(status)
        assert reply.headers.get("x-engine") == "yes"
    else:
        assert (reply.status, reply.complete) == (int(outcome), True), reply
        assert reply.headers["content-type"] == "application/json"
        assert reply.json["error"]["message"] and reply.json["error"]["code"] == int(outcome)


def _expected(body: Mapping[str, Any]) -> list[str]:
    prompt = body.get("messages") or body["prompt"]
    prompts = prompt if isinstance(prompt, list) and isinstance(prompt[0], str) else [prompt]
    return [answer_to(each, TOKENS) for each in prompts for _ in range(body.get("n", 1))]


def _without_cached(value: dict[str, Any]) -> dict[str, Any]:
    """Standard mode tells how much of the prompt prefill had cached."""
    usage = {key: count for key, count in value["usage"].items() if key != "prompt_tokens_details"}
    return {**value, "usage": usage}


def _check_blame(cell: Cell, running: Service, faulty: list[Engine]) -> None:
    """Every request that met the fault counts once at its instance, nothing else counts anywhere."""
    row = cell.row
    for engine in (*running.prefill, *running.decode):
        failed = running.instance(engine).failed_requests
        if engine not in faulty or not row.counts or (row.agreed and cell.both):
            assert failed == 0, f"{engine.role} is blamed for {failed}"
        elif row.manner["fault"] == "refuse":
            assert failed >= 1
        elif not cell.row.request:
            assert failed == len(engine.seen), f"{failed} failures of {len(engine.seen)} requests"
        else:  # what one answer of several breaks ends the others
            assert failed <= len(engine.seen)
    assert (
        not row.counts
        or (row.agreed and cell.both)
        or any(running.instance(engine).failed_requests for engine in faulty)
    )
