"""However decode's events arrive, and however often the answer is given up, a client sees one stream."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stormc_proxy.flow.output import Source
from stormc_proxy.flow.stream import Stream
from stormc_proxy.http.answer_head import Head, Heads
from stormc_proxy.http.connection import Connection
from stormc_proxy.http.deadline import Sweep
from stormc_proxy.http.events import chunk, event, split, unframed


class Output:
    """What the client receives."""

    def __init__(self) -> None:
        self.heads = 0
        self.payload = b""

    def begin(self, head: Head, source: Source) -> None:
        self.heads += 1

    def write(self, framed: bytes) -> None:
        self.payload += unframed(framed)


class Nowhere:
    """Where a connection belongs that goes nowhere."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.sweep, self.heads = Sweep(self.loop), Heads()

    def put(self, connection: Connection) -> None:
        pass

    def drop(self, connection: Connection) -> None:
        pass


NOWHERE = Nowhere()


def _attempt(stream: Stream, events: list[bytes], pieces: list[int]) -> None:
    connection = Connection(NOWHERE)
    stream.begin(connection, Head(200, b"OK", [(b"content-type", b"text/event-stream")]), lambda: None)
    left = list(events)
    for size in [*pieces, len(events)]:
        part, left = left[:size], left[size:]
        if part:
            stream.chunks(b"".join(map(chunk, part)), len(part), True)
    stream.flush()


PIECES = st.lists(st.integers(1, 3), max_size=8)


@given(st.lists(st.tuples(st.integers(0, 4), PIECES), min_size=1, max_size=4), PIECES, st.booleans(), st.booleans())
def test_a_client_sees_one_stream(
    given_up: list[tuple[int, list[int]]], pieces: list[int], chat: bool, usage: bool
) -> None:
    output = Output()
    stream = Stream(output, chat, keep=True)
    expected, number = "", 0
    for attempt, (count, cuts) in enumerate([*given_up, (3, pieces)]):
        last = attempt == len(given_up)
        about = {"id": f"cmpl-{attempt}", "created": attempt}
        words = [f" {number + k}" for k in range(count)]
        number += count
        expected += "".join(words)
        parts = [{"delta": {"content": w}} if chat else {"text": w} for w in words]
        if chat:
            parts.insert(0, {"delta": {"role": "assistant", "content": ""}})
        events = [event({**about, "choices": [{"index": 0, **part, "finish_reason": None}]}) for part in parts]
        end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        reason = {"finish_reason": "length"} if last else {"finish_reason": "stop", "stop_reason": "recomputed"}
        events.append(event({**about, "choices": [{"index": 0, **end, **reason}]}))
        if usage:
            used = {"prompt_tokens": 5 + number - count, "completion_tokens": count}
            events.append(event({**about, "choices": [], "usage": used}))
        events.append(b"data: [DONE]\n\n")
        _attempt(stream, events, cuts)
        assert stream.given_up == (not last)
        if not last:
            known, spoken = stream.take()
            assert known == (count if usage else None) and spoken == count
            stream.partial.tokens += count
    values = [json.loads(raw[6:]) for raw in split(output.payload) if raw != b"data: [DONE]\n\n"]
    assert output.payload.endswith(b"data: [DONE]\n\n") and output.payload.count(b"[DONE]") == 1
    assert b"recomputed" not in output.payload
    assert {value["id"] for value in values} == {"cmpl-0"} and {value["created"] for value in values} == {0}
    choices = [value["choices"][0] for value in values if value["choices"]]
    text = "".join((c["delta"].get("content") or "") if chat else c["text"] for c in choices)
    assert text == expected
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["length"]
    assert sum("role" in c.get("delta", {}) for c in choices) == int(chat)
    if usage:
        assert values[-1]["usage"]["prompt_tokens"] == 5
        assert values[-1]["usage"]["completion_tokens"] == number


def test_places_in_the_text_go_on_where_the_answer_broke_off() -> None:
    output = Output()
    stream = Stream(output, False, keep=True)

    def said(text: str, at: int, **more: Any) -> bytes:
        return event({"choices": [{"index": 0, "text": text, "logprobs": {"text_offset": [at]}, **more}]})

    _attempt(stream, [said("ä", 0), said("b", 1), said("", 2, stop_reason="recomputed")], [])
    stream.take()
    _attempt(stream, [said("c", 0), said("d", 1), b"data: [DONE]\n\n"], [])
    values = [json.loads(raw[6:]) for raw in split(output.payload) if raw != b"data: [DONE]\n\n"]
    assert [value["choices"][0]["logprobs"]["text_offset"] for value in values] == [[0], [1], [2], [3]]
