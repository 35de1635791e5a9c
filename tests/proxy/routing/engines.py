"""Prefill engines in virtual time: one queue each, served in order, and a cache of blocks of the prompts it served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tests.proxy.routing.traffic import Arrival, Traffic

FIXED_SECONDS, TOKENS_PER_SECOND = 0.02, 5_000.0
"""Time of a prompt: a fixed part, and one in proportion to the tokens that are not cached."""

CACHE_TOKENS = 1_000_000
"""KV cache of an engine."""


class Cache:
    """Blocks, least recently used ones out first; of one prompt the end before the beginning, as vLLM frees them."""

    def __init__(self, capacity: int) -> None:
        """Empty; `capacity` blocks."""
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._capacity = capacity

    def match(self, blocks: Sequence[int]) -> int:
        """How many blocks from the beginning on are there."""
        held = self._blocks
        for number, block in enumerate(blocks):
            if block not in held:
                return number
        return len(blocks)

    def use(self, blocks: Sequence[int]) -> None:
        """These are needed now."""
        held = self._blocks
        for block in reversed(blocks):
            held[block] = None
            held.move_to_end(block)
        for _ in range(len(held) - self._capacity):
            held.popitem(last=False)


class Engine:
    """A prefill engine; `free_at` is when its queue will be empty."""

    def __init__(self, cache_blocks: int, block: int) -> None:
        """Idle, with nothing in the cache."""
        self.cache, self.block, self.free_at = Cache(cache_blocks), block, 0.0

    def cost(self, prompt: Arrival) -> float:
        """Seconds that the prompt would take now, the queue left out."""
        return seconds(prompt.tokens - self.cached(prompt))

    def cached(self, prompt: Arrival) -> int:
        """Tokens in the cache; the last one is always computed."""
        return min(self.cache.match(prompt.blocks) * self.block, prompt.tokens - 1)

    def serve(self, prompt: Arrival) -> float:
        """Take a prompt; the moment of its first token."""
        work = self.cost(prompt)
        self.cache.use(prompt.blocks)
        self.free_at = max(prompt.moment, self.free_at) + work
        return self.free_at


def seconds(tokens: int) -> float:
    """Time of a prompt of which so many tokens are not cached."""
    return FIXED_SECONDS + tokens / TOKENS_PER_SECOND


class Rule(Protocol):
    """A way to choose an engine."""

    def choose(self, prompt: Arrival) -> int:
        """The number of the engine that gets a prompt."""

    def sent(self, prompt: Arrival, engine: int, first_token: float) -> None:
        """It was sent there and will have its first token then; a rule that is no oracle must wait until then."""


class Outcome(NamedTuple):
    """What became of the prompts."""

    waits: list[float]
    """Seconds to the first token of each prompt, the shortest first."""
    work: float
    """Seconds of prefill, of all engines together."""
    hit: float
    """Share of the prompts' tokens that were cached."""

    def wait(self, percent: int) -> float:
        """Seconds within which so many percent of the prompts had their first token."""
        return self.waits[min(len(self.waits) - 1, len(self.waits) * percent // 100)]


def replay(traffic: Traffic, stretch: float, engines: list[Engine], rule: Rule) -> Outcome:
    """Send the traffic through the rule to the engines."""
    waits, work, hit, total = [], 0.0, 0, 0
    arrivals = traffic.arrivals(stretch)
    prompt: Arrival | None = next(arrivals, None)
    while prompt is not None:
        number = rule.choose(prompt)
        engine = engines[number]
        cached = engine.cached(prompt)
        work += seconds(prompt.tokens - cached)
        hit, total = hit + cached, total + prompt.tokens
        first_token = engine.serve(prompt)
        rule.sent(prompt, number, first_token)
        waits.append(first_token - prompt.moment)
        try:
            prompt = arrivals.send(first_token)
        except StopIteration:
            prompt = None
    return Outcome(sorted(waits), work, hit / total)


def fleet(number: int, block: int) -> list[Engine]:
    """Engines that have seen nothing yet."""
    return [Engine(CACHE_TOKENS // block, block) for _ in range(number)]


def stretch_for(traffic: Traffic, engines: int, load: float) -> float:
    """Times must grow by this for `load`: the share of the engines that one common, ideal cache would leave busy."""
    cache = Cache(engines * CACHE_TOKENS // traffic.block)
    work = 0.0
    prompts = traffic.prompts
    for prompt in prompts:
        cached = min(cache.match(prompt.blocks) * traffic.block, prompt.tokens - 1)
        cache.use(prompt.blocks)
        work += seconds(prompt.tokens - cached)
    span = prompts[-1].moment - prompts[0].moment
    return work / (engines * load) / span
