"""Routing pods that tell each other loads and choices: message by message, and on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.edge.peering import Peering
from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.peers import DATAGRAM_BYTES, Peers, Sender
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.prompt_keys import Prompt, chained_everywhere, prompt_of
from stormc_proxy.fleet.shared_pool import shared_pool
from stormc_proxy.fleet.shared_table import SharedTable
from stormc_proxy.flow.body import Body
from stormc_proxy.settings import Address, Settings
from tests.proxy.service import until

ADDRESSES = [Address("prefill-0", 8000), Address("fd00::1", 8001), Address("10.0.0.3", 65535)]


class Pod:
    """A routing pod, or a worker of one."""

    def __init__(self, pod: int, secret: bytes = b"", worker: int = 0, kind: type[Pool] = Pool) -> None:
        self.now = 0.0
        self.affinity = Affinity(10_000, 5.0)
        self.affinity.chain = chained_everywhere
        self.pools = {
            role: kind(role, ADDRESSES, PoolPolicy(), lambda: 0.0, self.affinity.instance_changed)
            for role in ("prefill", "decode")
        }
        self.peers = Peers(self.pools, self.affinity, Sender(pod, worker), secret, lambda: self.now)

    def send(self, name: str, turn: int = 0) -> Lease:
        lease = self.affinity.pick(self.pools["prefill"], chat(name, turn), "layerwise")
        assert lease is not None
        return lease

    def foreign(self, role: str = "prefill") -> list[int]:
        return [instance.foreign for instance in self.pools[role]]

    def loads(self, role: str = "prefill") -> list[int]:
        return [instance.load for instance in self.pools[role]]


def chat(name: str, turn: int) -> Prompt:
    messages = [{"role": "user", "content": f"{name} asks {number} " + "word " * 200} for number in range(turn + 1)]
    return prompt_of(Body(json.dumps({"model": "m", "messages": messages}).encode()), "", chained_everywhere)


def tell(sender: Pod, *receivers: Pod) -> int:
    """Deliver all; how many datagrams there were."""
    datagrams = sender.peers.datagrams()
    for datagram in datagrams:
        assert len(datagram) <= DATAGRAM_BYTES + 64
        for receiver in receivers:
            assert receiver.peers.received(datagram)
    return len(datagrams)


def test_pods_agree_where_a_conversation_is() -> None:
    pods = [Pod(number) for number in range(3)]
    hosts = []
    for turn in range(9):
        pod = pods[turn % 3]
        lease = pod.send("Ada", turn)
        hosts.append(lease.instance.address)
        lease.release()
        tell(pod, *(other for other in pods if other is not pod))
    assert len(set(hosts)) == 1


def test_each_pod_sees_the_load_of_all() -> None:
    first, second, third = Pod(1), Pod(2), Pod(3)
    lease = first.send("Ada")
    second.pools["decode"].pick(77)
    for pod in (first, second):
        tell(pod, *(other for other in (first, second, third) if other is not pod))
    assert third.foreign() == first.loads() == [lease.instance.load, 0, 0]
    assert third.foreign("decode") == second.loads("decode") == [77, 0, 0]
    assert third.send("Bob").instance.address != lease.instance.address, "it is busy for somebody else"
    lease.release()
    tell(first, second, third)
    assert second.foreign() == [0, 0, 0]


def test_nothing_to_tell_is_told_once_a_second() -> None:
    pod = Pod(1)
    assert (tell(pod), tell(pod)) == (1, 0)
    pod.send("Ada")
    assert (tell(pod), tell(pod)) == (1, 0)
    pod.now = 1.0
    assert (tell(pod), tell(pod)) == (1, 0)


def test_a_pod_that_is_silent_has_no_load_any_more() -> None:
    first, second = Pod(1), Pod(2)
    first.send("Ada")
    tell(first, second)
    second.now = 2.9
    second.peers.expire()
    assert sum(second.foreign()) and second.peers.pods == 1
    second.now = 3.1
    second.peers.expire()
    assert second.foreign() == [0, 0, 0] and second.peers.pods == 0
    first.now = 1.0
    tell(first, second)
    assert sum(second.foreign()) > 0, "all loads are told again"


def test_loads_that_overtook_each_other_end_right_and_lost_choices_do_no_harm() -> None:
    first, second = Pod(1), Pod(2)
    lease = first.send("Ada")
    early = first.peers.datagrams()
    lease.release()
    late = first.peers.datagrams()
    for datagram in [*late, *early, *early]:
        second.peers.received(datagram)
    assert second.foreign() == [0, 0, 0]
    assert second.send("Ada", 1).instance is second.pools["prefill"].instances[lease.instance.address]


def test_a_reset_and_an_isolation() -> None:
    first, second = Pod(1), Pod(2)
    first.send("Ada").release()
    tell(first, second)
    assert list(second.affinity.index.matches(chat("Ada", 0).keys))
    first.affinity.clear(first.pools["prefill"])
    tell(first, second)
    assert not list(second.affinity.index.matches(chat("Ada", 0).keys))


def test_workers_pass_on_what_one_of_them_heard() -> None:
    table = SharedTable(2)
    workers = [Pod(7, worker=number, kind=shared_pool(table, number)) for number in range(2)]
    other = Pod(9)
    address = other.send("Ada", 3).instance.address
    tell(other, workers[0])
    assert workers[1].send("Ada", 4).instance.address == address
    prefill = workers[1].pools["prefill"]
    assert prefill.queue(prefill.instances[address]) >= other.loads()[0]
    datagrams = workers[1].peers.datagrams()
    assert not any(workers[0].peers.received(datagram) for datagram in datagrams), "the table told it already"
    for datagram in datagrams:
        assert other.peers.received(datagram)
    assert sum(other.foreign()) == workers[1].loads()[0], "its own load, not what others told it"


@pytest.mark.parametrize("turns", [0, 60, 900, 2500])
def test_long_prompts_take_several_datagrams(turns: int) -> None:
    first, second = Pod(1), Pod(2)
    lease = first.send("Ada", turns)
    assert (tell(first, second) > 1) == (len(chat("Ada", turns).keys) > 300)
    assert dict(second.affinity.index.matches(chat("Ada", turns).keys)) == {
        second.pools["prefill"].instances[lease.instance.address]: len(chat("Ada", turns).keys)
    }


# -- strangers ---------------------------------------------------------------------------------------------------------


def test_a_message_without_the_secret_is_not_heard() -> None:
    first, second, stranger = Pod(1, b"secret"), Pod(2, b"secret"), Pod(3, b"")
    stranger.send("Ada")
    assert not any(second.peers.received(datagram) for datagram in stranger.peers.datagrams())
    first.send("Ada")
    assert tell(first, second) == 1
    assert second.peers.pods == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_no_datagram_makes_it_stumble(rubbish: bytes, at: int, value: int) -> None:
    """Rubbish, rubbish with a good seal, and messages with a byte changed that are sealed again."""
    first, second = Pod(1), Pod(2)
    first.send("Ada")
    [message] = first.peers.datagrams()
    content = bytearray(message[:-16])
    content[at % len(content)] = value
    for datagram in (rubbish, rubbish + second.peers._seal(rubbish), bytes(content)):
        second.peers.received(datagram)
    second.peers.received(bytes(content) + second.peers._seal(bytes(content)))
    second.send("Bob")
    second.peers.received(message[:21] + struct.pack("!BBHB", 1, 9, 1, 255))


# -- on sockets --------------------------------------------------------------------------------------------------------


async def test_pods_find_each_other_by_name_and_part_when_the_name_is_gone() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pods, tasks = [Pod(1), Pod(2)], []
    for number, pod in enumerate(pods):
        known = Settings(host=f"127.0.0.{number + 1}", port=port, peers="127.0.0.1, 127.0.0.2")
        pod.routing = SimpleNamespace(settings=known, pools=pod.pools, affinity=pod.affinity)  # type: ignore[attr-defined]
        tasks.append(loop.create_task(Peering(pod.routing, Sender(number, 0), loop).run()))  # type: ignore[attr-defined]
    await until(lambda: [pod.affinity.peers for pod in pods] == [1, 1], 10)
    address = pods[0].send("Ada", 3).instance.address
    await until(lambda: sum(pods[1].foreign()), 10)
    assert pods[1].send("Ada", 4).instance.address == address
    routing = pods[1].routing  # type: ignore[attr-defined]
    routing.settings = replace(routing.settings, peers="")
    await until(lambda: pods[1].affinity.peers == 0 and not sum(pods[1].foreign()), 10)
    assert pods[1].affinity.outbox is None
    for task in tasks:
        task.cancel()
