"""Prompts over time: conversations of agents and people that are made up here, or a trace from a file.

A prompt is a list of block ids; two prompts share their first k blocks exactly when their first k ids are the same.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

TOKEN_SECONDS = 0.03
"""Time that decode takes for a token of an answer."""


class Arrival(NamedTuple):
    """A prompt that arrives."""

    moment: float
    tokens: int
    blocks: tuple[int, ...]


Arrivals = Generator[Arrival, float, None]
"""Yields arrivals in order; is sent the moment of each one's first token."""


class Traffic(Protocol):
    """Prompts that can arrive faster or slower."""

    @property
    def block(self) -> int:
        """Tokens in a block."""

    @property
    def prompts(self) -> list[Arrival]:
        """All prompts, in the order in which they would arrive if every answer came at once."""

    def arrivals(self, stretch: float) -> Arrivals:
        """The prompts with all times between them multiplied."""


class Turn(NamedTuple):
    """A question within a conversation."""

    pause: float
    """Seconds from the answer before; never stretched, people think as fast as they do."""
    tokens: int
    blocks: tuple[int, ...]
    answer: int


@dataclass(frozen=True)
class Conversations:
    """Each turn carries all earlier ones, and follows the answer to the one before."""

    starts: list[float]
    turns: list[list[Turn]]
    block: int = 128

    @property
    def prompts(self) -> list[Arrival]:
        """As if answers took no time."""
        arrived = []
        for start, turns in zip(self.starts, self.turns, strict=True):
            moment = start
            for turn in turns:
                moment += turn.pause
                arrived.append(Arrival(moment, turn.tokens, turn.blocks))
        return sorted(arrived)

    def arrivals(self, stretch: float) -> Arrivals:
        """Conversations begin in stretched time."""
        waiting = [(start * stretch, number, 0) for number, start in enumerate(self.starts)]
        heapq.heapify(waiting)
        while waiting:
            moment, number, place = heapq.heappop(waiting)
            turns = self.turns[number]
            turn = turns[place]
            first_token = yield Arrival(moment, turn.tokens, turn.blocks)
            if place + 1 < len(turns):
                after = first_token + turn.answer * TOKEN_SECONDS + turns[place + 1].pause
                heapq.heappush(waiting, (after, number, place + 1))


@dataclass(frozen=True)
class Trace:
    """Prompts at fixed times."""

    prompts: list[Arrival]
    block: int = 512

    def arrivals(self, stretch: float) -> Arrivals:
        """The same prompts in stretched time."""
        start = self.prompts[0].moment
        for prompt in self.prompts:
            yield prompt._replace(moment=(prompt.moment - start) * stretch)


def conversations(number: int, seed: int = 1, assistants: int = 24, block: int = 128) -> Conversations:
    """Half agents (about 9 turns, 4 s between them), half people (3.5 turns, 45 s), within an hour.

    They share `assistants` system prompts of 200 to 12,000 tokens, some of which are far more popular than others; a
    quarter begins with a document.
    """
    random_ = random.Random(seed)
    fresh = count()
    sizes = [int(min(12_000, max(200, random_.lognormvariate(7.6, 0.9)))) for _ in range(assistants)]
    systems = [[next(fresh) for _ in range(size // block)] for size in sizes]
    popularity = [1 / (rank + 1) ** 1.1 for rank in range(assistants)]
    starts, all_turns = [], []
    for _ in range(number):
        assistant = random_.choices(range(assistants), popularity)[0]
        agent = random_.random() < 0.5
        starts.append(random_.random() * 3600)
        tokens, blocks, turns = sizes[assistant], list(systems[assistant]), []
        pause = 0.0
        for place in range(1 + min(30, int(random_.expovariate(1 / (9.0 if agent else 3.5))))):
            tokens += int(min(20_000, random_.lognormvariate(6.3 if agent else 5.0, 1.1)))
            if not place and random_.random() < 0.25:
                tokens += int(min(30_000, random_.lognormvariate(8.0, 1.0)))
            tokens = min(tokens, 120_000)
            blocks += [next(fresh) for _ in range(tokens // block - len(blocks))]
            answer = int(min(4000, random_.lognormvariate(5.2, 0.8)))
            turns.append(Turn(pause, tokens, (*blocks, next(fresh)), answer))
            tokens += answer
            pause = random_.expovariate(1 / 4 if agent else 1 / 45)
        all_turns.append(turns)
    return Conversations(starts, all_turns, block)


def trace_from(path: Path, seed: int = 1) -> Trace:
    """A trace in Mooncake's form: one JSON object a line, its `timestamp` in ms and `hash_ids` of blocks of 512 tokens.

    Its times are rounded to some seconds; requests of the same moment are spread over three.
    """
    random_ = random.Random(seed)
    prompts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        moment = entry["timestamp"] / 1000 + random_.random() * 3
        prompts.append(Arrival(moment, entry["input_length"], tuple(entry["hash_ids"])))
    return Trace(sorted(prompts))
