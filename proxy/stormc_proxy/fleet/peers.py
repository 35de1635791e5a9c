"""What routing pods tell each other: the load that each puts on the instances, and where prompts went.

Each pod chooses by itself; without this it would know only what it chose itself, and send the next turn of a
conversation somewhere else than the pod that had the turn before. Datagrams, because nothing depends on them: loads are
told as they are, again every second, and a choice that nobody heard of costs one prefill. Bytes in and out, no I/O.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.prompt_keys import Prompt
from stormc_proxy.settings import ROLES, Address

REPEAT_SECONDS, SILENT_SECONDS = 1.0, 3.0
"""All loads are told again after this; those of a peer that was silent for so long are void."""

DATAGRAM_BYTES, KEYS = 1200, 200
"""Fits an Ethernet frame with any encapsulation; keys of one record, longer prompts take several."""

_DIGEST = 16
_HEADER = struct.Struct("!4sQBI")
_MAGIC = b"srp1"
_RECORD = struct.Struct("!BBHB")
_LOAD, _CHOICE = 0, 1
_LOAD_BODY, _CHOICE_BODY = struct.Struct("!q"), struct.Struct("!IIH")


class Sender(NamedTuple):
    """A worker of a routing pod."""

    pod: int
    worker: int


class Record(NamedTuple):
    """Something about an instance: its load, or that a prompt went there."""

    role: str
    address: Address
    load: int | None
    prompt: Prompt | None


class _SenderState:
    """What one worker of another pod has sent: its last number, when, and its loads."""

    def __init__(self) -> None:
        self.number, self.at = -1, 0.0
        self.loads: dict[Instance, int] = {}


class Peers:
    """This worker among those of other routing pods."""

    def __init__(
        self, pools: Mapping[str, Pool], affinity: Affinity, sender: Sender, secret: bytes, clock: Callable[[], float]
    ) -> None:
        """`secret` is the same in all pods; without one, the network decides who may speak."""
        self._pools, self._affinity, self._me, self._clock = pools, affinity, sender, clock
        self._secret = blake2b(secret).digest() if secret else b""
        self._sent_loads: dict[Instance, int] = {}
        self._senders: dict[Sender, _SenderState] = {}
        self._number, self._repeat_at = 0, 0.0
        affinity.outbox = []

    @property
    def pods(self) -> int:
        """Other pods that speak."""
        return len({sender.pod for sender in self._senders})

    # -- telling -------------------------------------------------------------------------------------------------------

    def datagrams(self) -> list[bytes]:
        """What there is to tell since the last call; all loads once a second, even if there is none."""
        repeat = self._clock() >= self._repeat_at
        records = [*self._loads(repeat), *self._choices()]
        if not records and not repeat:
            return []
        if repeat:
            self._repeat_at = self._clock() + REPEAT_SECONDS
        datagrams, size, parts = [], 0, list[bytes]()
        for record in records:
            if size + len(record) > DATAGRAM_BYTES:
                datagrams.append(self._seal_datagram(parts))
                size, parts = 0, []
            parts.append(record)
            size += len(record)
        return [*datagrams, self._seal_datagram(parts)]

    def _loads(self, repeat: bool) -> Iterator[bytes]:
        before, self._sent_loads = self._sent_loads, {}
        for instance in (instance for pool in self._pools.values() for instance in pool):
            load = instance.load
            if load:
                self._sent_loads[instance] = load
            if load != before.get(instance, 0) or (repeat and load):
                yield _about(_LOAD, instance) + _LOAD_BODY.pack(load)

    def _choices(self) -> Iterator[bytes]:
        chosen, self._affinity.outbox = self._affinity.outbox or [], []
        for instance, prompt in chosen:
            for start in range(0, max(1, len(prompt.keys)), KEYS):
                keys = prompt.keys[start : start + KEYS]
                body = _CHOICE_BODY.pack(prompt.session, min(prompt.size, 2**32 - 1), len(keys))
                yield _about(_CHOICE, instance) + body + struct.pack(f"!{len(keys)}I", *keys)

    def _seal_datagram(self, records: list[bytes]) -> bytes:
        self._number += 1
        datagram = _HEADER.pack(_MAGIC, *self._me, self._number & 0xFFFFFFFF) + b"".join(records)
        return datagram + self._seal(datagram)

    def _seal(self, datagram: bytes) -> bytes:
        return blake2b(datagram, key=self._secret, digest_size=_DIGEST).digest()

    # -- hearing -------------------------------------------------------------------------------------------------------

    def received(self, datagram: bytes) -> bool:
        """Take over what another pod tells; False for what is no message of one, or of this pod's own."""
        content, seal = datagram[:-_DIGEST], datagram[-_DIGEST:]
        if len(content) < _HEADER.size or not hmac.compare_digest(seal, self._seal(content)):
            return False
        magic, pod, worker, number = _HEADER.unpack_from(content)
        if magic != _MAGIC or pod == self._me.pod:
            return False
        try:
            records = list(_records(content))
        except (struct.error, UnicodeDecodeError, IndexError):
            return False
        peer = self._senders.setdefault(Sender(pod, worker), _SenderState())
        late, peer.at = number < peer.number, self._clock()
        peer.number = max(peer.number, number)
        for record in records:
            instance = self._pools[record.role].instances.get(record.address)
            if instance is not None and record.load is not None and not late:
                self._note_load(peer, instance, record.load)
            elif instance is not None and record.prompt is not None:
                self._note_choice(record.prompt, instance)
        return True

    def _note_choice(self, prompt: Prompt, instance: Instance) -> None:
        pool = self._pools["prefill"]
        if prompt.keys or prompt.session:
            self._affinity.note_choice(prompt, instance)
        else:
            self._affinity.forget(instance)
        pool.share_choice(instance, prompt)

    def _note_load(self, peer: _SenderState, instance: Instance, load: int) -> None:
        instance.foreign += load - peer.loads.pop(instance, 0)
        if load:
            peer.loads[instance] = load
        self._pools[instance.role].moved(instance)

    def expire(self, after: float = SILENT_SECONDS) -> None:
        """Forget the loads of peers that are silent: they are gone, and their requests with them."""
        for sender, peer in list(self._senders.items()):
            if self._clock() - peer.at >= after:
                del self._senders[sender]
                for instance in list(peer.loads):
                    self._note_load(peer, instance, 0)

    def close(self) -> None:
        """Forget all peers and their loads; choices are collected for them no more."""
        self.expire(0.0)
        self._affinity.outbox = None


def _about(kind: int, instance: Instance) -> bytes:
    host = instance.address.host.encode()
    return _RECORD.pack(kind, ROLES.index(instance.role), instance.address.port, len(host)) + host


def _records(content: bytes) -> Iterator[Record]:
    at = _HEADER.size
    while at < len(content):
        kind, role, port, length = _RECORD.unpack_from(content, at)
        at += _RECORD.size
        address = Address(content[at : at + length].decode(), port)
        at += length
        if kind == _LOAD:
            yield Record(ROLES[role], address, _LOAD_BODY.unpack_from(content, at)[0], None)
            at += _LOAD_BODY.size
        else:
            session, size, many = _CHOICE_BODY.unpack_from(content, at)
            at += _CHOICE_BODY.size
            keys = list(struct.unpack_from(f"!{many}I", content, at))
            yield Record(ROLES[role], address, None, Prompt(keys, session, 0, size))
            at += 4 * many
