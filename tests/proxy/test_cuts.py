"""Decode dies at any byte of its answer: the client gets the whole answer all the same, and nothing twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from tests.proxy.answers import answer_to
from tests.proxy.client import Reply, question
from tests.proxy.service import service
from tests.proxy.wire import Wire

TOKENS = 3
STRIDE = int(os.environ.get("CUTS_STRIDE", "23"))
"""Bytes between two cuts; the ends of chunks are all tried."""


class Cut:
    """What becomes of the next answer of a decode instance."""

    def __init__(self, kind: str) -> None:
        self.kind, self.at, self.whole = kind, -1, b""

    async def send(self, wire: Wire, parts: Sequence[bytes], fault: str) -> None:
        """In place of Wire._send."""
        raw = b"".join(parts)
        if wire.engine.role == "prefill" or self.at < 0:
            self.whole = raw if wire.engine.role == "decode" else self.whole
            await wire.write(raw)
            return
        at, self.at = self.at, -1
        await wire.write(raw[:at])
        if self.kind == "reset":
            wire.reset()
        elif wire._transport is not None:
            wire._transport.close()


def places(raw: bytes) -> list[int]:
    """Where to cut. Before the first byte it may be the keep-alive race, and the same instance is asked again."""
    ends = [at + shift for at in range(len(raw)) if raw.startswith((b"\r\n", b"\n\n"), at) for shift in (0, 1, 2)]
    return sorted({at for at in (*ends, *range(1, len(raw), STRIDE)) if at < len(raw)})


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize("shape", ["stream", "stream, usage", "chat stream, usage", "stream, usage, two", "whole"])
@pytest.mark.parametrize("mode", ["layerwise", "standard"])
async def test_decode_dies_at_a_byte(mode: str, shape: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut, chat, stream = Cut(kind), "chat" in shape, "stream" in shape
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if "usage" in shape else {}
    more |= {"n": 2} if "two" in shape else {}
    body = question(chat, stream, tokens=TOKENS, **more)

    async def send(self: Wire, parts: Sequence[bytes], fault: str) -> None:
        await cut.send(self, parts, fault)

    monkeypatch.setattr(Wire, "_send", send)
    async with service(mode, max_failures=10**6, retry_budget_percent=10**6) as s:
        for engine in (*s.prefill, *s.decode):
            engine.manner.early_head = False
        usual = await s.ask(body)
        wrong = []
        for at in places(cut.whole):
            cut.at = at
            reply = await s.ask(body)
            if (text := _wrong(reply, usual, body)) or cut.at >= 0:
                wrong.append(f"{at} of {len(cut.whole)}, after {cut.whole[max(0, at - 60) : at]!r}: {text}")
        await s.settled()
        assert not wrong, f"{len(wrong)} of {len(places(cut.whole))}\n" + "\n".join(wrong[:12])


@pytest.mark.parametrize("mode", ["layerwise", "standard"])
async def test_nothing_follows_the_end_of_a_stream(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are not resumed end with [DONE] or with an error event, never with both."""
    cut, body = Cut("reset"), question(True, True, tokens=TOKENS)

    async def send(self: Wire, parts: Sequence[bytes], fault: str) -> None:
        await cut.send(self, parts, fault)

    monkeypatch.setattr(Wire, "_send", send)
    async with service(mode, max_failures=10**6, retry_budget_percent=10**6, resume_streams=False) as s:
        for engine in (*s.prefill, *s.decode):
            engine.manner.early_head = False
        await s.ask(body)
        ends = set()
        for at in places(cut.whole):
            cut.at = at
            reply = await s.ask(body)
            assert (reply.status, reply.complete) == (200, True)
            ends.add((b"[DONE]" in reply.body, b'"error"' in reply.body))
        assert ends == {(True, False), (False, True)}
        await s.settled()


def _wrong(reply: Reply, usual: Reply, body: dict[str, Any]) -> str:
    if (reply.status, reply.complete) != (200, True):
        return f"{reply.status} {reply.complete}"
    for index in range(body.get("n", 1)):
        if reply.text(index) != answer_to(body.get("messages") or body["prompt"], TOKENS):
            return f"text {reply.text(index)!r}"
    if reply.endings() != usual.endings():
        return f"endings {reply.endings()}"
    if body.get("stream") and not reply.done:
        return f"{reply.body.count(b'[DONE]')} [DONE]"
    return "" if reply.usage() == usual.usage() else f"usage {reply.usage()}, not {usual.usage()}"
