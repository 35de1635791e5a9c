"""Nobody but the decode instance that was asked can have a client's KV cache sent anywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stormc_proxy.flow.attempt import is_at
from stormc_proxy.random_ids import new_id
from tests.proxy.client import ask, question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

THIEF = {"do_remote_decode": True, "remote_host": "10.66.6.6", "remote_port": 666, "remote_block_ids": [[1]]}


def _callback(s: Service) -> tuple[str, dict[str, Any]]:
    """The path that decode was told, and what decode would post."""
    told = s.decode[0].seen[0]
    return told.body["kv_transfer_params"]["metaserver"].partition(f":{s.server.callback_port}")[2], {
        **THIEF, "request_id": f"cmpl-{told.key}-0", "remote_host": "127.0.0.1",
    }  # fmt: skip


def test_ids_are_those_of_random_uuids_and_never_the_same() -> None:
    made = {new_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert all(len(text) == 36 and text[14] == "4" and text[19] in "89ab" for text in made)


@pytest.mark.parametrize(("change", "path"), [
    ({}, "/v1/metaserver"),
    ({}, "/v1/metaserver/" + "0" * 32),
    ({"request_id": f"cmpl-{new_id()}-0"}, ""),
    ({"remote_host": "10.66.6.6"}, ""),
])  # fmt: skip
async def test_a_callback_that_is_not_that_of_the_decode_instance_starts_no_prefill(
    change: dict[str, str], path: str
) -> None:
    async with service("layerwise", manner=Manner(seconds=0.2, callbacks=())) as s:
        client = await s.begin(question(False, False))
        await until(lambda: s.decode[0].seen)
        where, posted = _callback(s)
        await ask(s.server.callback_port, "POST", path or where, {**posted, **change})
        assert (await client.reply()).status == 200
        assert not s.prefill[0].seen and not s.prefill[1].seen
        await ask(s.server.callback_port, "POST", where, posted)
        await asyncio.sleep(0.05)
        assert not s.prefill[0].seen and not s.prefill[1].seen, "a callback when all is over"


@pytest.mark.parametrize("ack", ["early", "late"])
async def test_a_callback_is_refused_once_decode_has_spoken(ack: str) -> None:
    async with service("layerwise", metaserver_ack=ack, manner=Manner(token_seconds=0.05, callbacks=())) as s:
        client = await s.begin(question(False, True))
        await client.reader.readuntil(b"\n\n")
        reply = await ask(s.server.callback_port, "POST", *_callback(s))
        assert reply.status == (200 if ack == "early" else 404)
        assert not s.prefill[0].seen
        client.reset()
        await s.settled()


@pytest.mark.parametrize(("host", "remote", "same"), [
    ("10.1.1.1", "10.1.1.1", True), ("10.1.1.1", "10.66.6.6", False), ("fd00::1", "fd00:0::1", True),
    ("decode-0-svc", "10.66.6.6", True), ("127.0.0.1", "10.66.6.6", False), ("127.0.0.1", "127.0.0.2", True),
    ("10.1.1.1", None, True), ("10.1.1.1", "", True),
])  # fmt: skip
def test_where_a_kv_cache_may_go(host: str, remote: object, same: bool) -> None:
    assert is_at(host, remote) is same


@pytest.mark.parametrize("status", ["400", "403", "429", "500", "503"])
@pytest.mark.parametrize("stream", [False, True])
async def test_decode_that_refuses_leaves_no_kv_cache_at_prefill(status: str, stream: bool) -> None:
    async with service("standard", prefill=1) as s:
        for engine in s.decode:
            engine.manner = Manner(fault=status, refuses="wishes")
        assert (await s.ask(question(False, stream, tokens=9))).status == int(status)
        await until(lambda: not s.fabric.held)
        await s.settled()


async def test_a_farewell_is_tried_again_while_every_decode_is_too_busy() -> None:
    async with service("standard") as s:
        for engine in s.decode:
            await engine.behave(Manner(fault="429"))
        assert (await s.ask(question(False, False))).status == 429
        await s.settled()
        assert s.fabric.held and s.server.router.late
        for engine in s.decode:
            await engine.behave(Manner())
        await until(lambda: not s.fabric.held and not s.server.router.late, 5.0)
        assert s.server.router.counts.expired == 0
