"""Rules that choose a prefill engine: the proxy's own with its pool and index, and those it is measured against."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.instance import prefill_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.peers import Peers, Sender
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.prefix_index import PrefixIndex
from stormc_proxy.fleet.prompt_keys import Chain, Prompt, chain_of, chained_everywhere, chained_here
from stormc_proxy.settings import Address
from tests.proxy.routing.engines import Engine
from tests.proxy.routing.traffic import Arrival

BYTES_PER_TOKEN = 4
KEYS = 100_000


class RoundRobin:
    """One after the other."""

    def __init__(self, engines: list[Engine]) -> None:
        """The first prompt goes to the first engine."""
        self._number, self._next = len(engines), 0

    def choose(self, prompt: Arrival) -> int:
        """The next."""
        chosen, self._next = self._next, (self._next + 1) % self._number
        return chosen

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """It does not look."""


class Oracle:
    """Knows every queue and every cache: the engine that has the first token soonest."""

    def __init__(self, engines: list[Engine]) -> None:
        """Looks into the engines."""
        self._engines, self._picked, self._picks = engines, [0] * len(engines), 0

    def choose(self, prompt: Arrival) -> int:
        """Queue and own work, ties to the one picked longest ago."""
        costs = [max(0.0, engine.free_at - prompt.moment) + engine.cost(prompt) for engine in self._engines]
        return min(range(len(costs)), key=lambda number: (costs[number], self._picked[number]))

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """The queue has grown."""
        self._picks += 1
        self._picked[engine] = self._picks


class AIBrix:
    """AIBrix's hybrid_cache_load: load x (1 - match² / 2), ties to the longer match (aibrix#2680 to #2682)."""

    def __init__(self, engines: list[Engine]) -> None:
        """Load is the proxy's score of the prompts that run, the match that of a table of blocks."""
        self._loads = [0] * len(engines)
        self._ends: list[tuple[float, int, int]] = []
        self._index: PrefixIndex[int] = PrefixIndex(400_000)
        self._picked, self._picks = [0] * len(engines), 0

    def choose(self, prompt: Arrival) -> int:
        """The least discounted load."""
        while self._ends and self._ends[0][0] <= prompt.moment:
            _, engine, load = heapq.heappop(self._ends)
            self._loads[engine] -= load
        matched = dict(self._index.matches(prompt.blocks))
        share = [matched.get(number, 0) / max(1, len(prompt.blocks)) for number in range(len(self._loads))]
        return min(
            range(len(share)), key=lambda n: (self._loads[n] * (1 - share[n] ** 2 / 2), -share[n], self._picked[n])
        )

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """It has these blocks now, and is busy until then."""
        load = prefill_load(prompt.tokens * BYTES_PER_TOKEN, "layerwise")
        self._loads[engine] += load
        heapq.heappush(self._ends, (first_token, engine, load))
        self._index.remember(prompt.blocks, engine)
        self._picks += 1
        self._picked[engine] = self._picks


class Proxy:
    """The proxy's own pool, index and rule, as a request uses them."""

    def __init__(
        self, engines: list[Engine], weight: float = 5.0, keys: int = KEYS, chain: Chain = chained_here
    ) -> None:
        """One routing pod, one worker."""
        self._chain = chain
        self._now = 0.0
        self._block = engines[0].block
        addresses = [Address(f"prefill-{number}", 8000) for number in range(len(engines))]
        self.pool = Pool("prefill", addresses, PoolPolicy(), lambda: self._now)
        self._numbers = {instance: number for number, instance in enumerate(self.pool)}
        self.affinity = Affinity(keys, weight)
        self._ends: list[tuple[float, int, Lease]] = []
        self._sent = 0
        self._lease: Lease | None = None

    def advance(self, now: float) -> None:
        """Release what has ended until then."""
        self._now = now
        while self._ends and self._ends[0][0] <= now:
            heapq.heappop(self._ends)[2].release()

    def choose(self, prompt: Arrival) -> int:
        """Pick as every request does."""
        self.advance(prompt.moment)
        self._lease = self.affinity.pick(self.pool, prompt_of_blocks(prompt, self._block, self._chain), "layerwise")
        assert self._lease is not None
        return self._numbers[self._lease.instance]

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """The lease is released with the first token."""
        assert self._lease is not None
        self._sent += 1
        heapq.heappush(self._ends, (first_token, self._sent, self._lease))


class Routers:
    """Several routing pods, each with a pool and an index of its own; a prompt comes to any of them."""

    DELAY = 0.02
    """Seconds until what one tells is known to the others: the pause between two messages, and the network."""

    def __init__(self, engines: list[Engine], number: int, tell: bool) -> None:
        """`tell`: whether they tell each other loads and choices."""
        self._now, self._random = 0.0, random.Random(11)
        self._routers = [Proxy(engines, chain=chained_everywhere) for _ in range(number)]
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._sent, self._chosen = 0, 0
        self._peers = [
            Peers(
                {"prefill": router.pool}, router.affinity, Sender(pod, 0), b"", lambda: self._now
            ) for pod, router in enumerate(self._routers)
        ] if tell else []  # fmt: skip

    def choose(self, prompt: Arrival) -> int:
        """One of the pods chooses, after it has heard what the others told until now."""
        self._now = prompt.moment
        while self._under_way and self._under_way[0][0] <= self._now:
            _, _, receiver, datagram = heapq.heappop(self._under_way)
            self._peers[receiver].received(datagram)
        for router in self._routers:
            router.advance(self._now)
        self._chosen = self._random.randrange(len(self._routers))
        return self._routers[self._chosen].choose(prompt)

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """The pods tell what changed."""
        self._routers[self._chosen].sent(prompt, engine, first_token)
        for sender, peer in enumerate(self._peers):
            for datagram in peer.datagrams():
                for receiver in range(len(self._peers)):
                    self._sent += 1
                    if receiver != sender:
                        heapq.heappush(self._under_way, (self._now + self.DELAY, self._sent, receiver, datagram))


def prompt_of_blocks(prompt: Arrival, block: int, chain: Chain) -> Prompt:
    """The keys that a text with these blocks would have: the same where the blocks are the same."""
    size = prompt.tokens * BYTES_PER_TOKEN
    return Prompt(chain_of(1, pieces_of(prompt.blocks, block), chain), 0, size, size)


def pieces_of(blocks: Sequence[int], block: int) -> list[str]:
    """What stands for the texts between two keys: those of 512, 512, 1024, and then always 2048 characters."""
    if block == 512:
        head = [f"{blocks[0]}.{part}" for part in range(3)] if blocks else []
        return head + [str(number) for number in blocks[1:]]
    assert block == 128, "blocks of 128 or 512 tokens"
    head = [str(list(blocks[start:end])) for start, end in ((0, 1), (1, 2), (2, 4)) if end <= len(blocks)]
    return head + [str(list(blocks[start : start + 4])) for start in range(4, len(blocks) - 3, 4)]
