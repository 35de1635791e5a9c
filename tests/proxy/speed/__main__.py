"""What the proxy costs, in ratios of one run: python -m tests.proxy.speed [--seconds 4] [--rounds 3].

Every contestant forwards the same requests to the same engines: the proxy (prefill and decode; layerwise with decode's
callback besides), and with one hop nginx, vllm-router and a plain aiohttp relay; what is not installed is named first.
The contestant has a core of its own, engines and load share the other; contestants take turns, medians count. Seconds
of CPU come from the scheduler, so that what else the machine does moves them little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from tests.proxy.speed.engines import TOKENS, engines
from tests.proxy.speed.load import load
from tests.proxy.speed.processes import Contestant, free_ports, has_uvloop, nginx, proxy, python, relay, vllm_router

STORM = 512
"""Engines of the largest fleet."""


class Scenario(NamedTuple):
    """What the load does."""

    title: str
    connections: int
    stream: bool = False
    pause_ms: int = 0


class Goal(NamedTuple):
    """How much CPU a contestant may take per answer, as a multiple of another one's."""

    scenario: int
    contestant: str
    other: str
    most: float


class Figure(NamedTuple):
    """One measurement: answers per second, median seconds, CPU seconds per answer."""

    rate: float
    median: float
    cpu: float


SCENARIOS = (
    Scenario("1 connection, whole", 1),
    Scenario("32, whole", 32),
    Scenario("256, whole", 256),
    Scenario(f"64 streams of {TOKENS} tokens at once", 64, True),
    Scenario(f"256 streams of {TOKENS} tokens, 20 ms apart", 256, True, 20),
)
GOALS = (
    Goal(1, "standard", "nginx", 6.0),
    Goal(1, "layerwise", "nginx", 7.0),
    Goal(3, "standard", "vllm-router", 0.65),
    Goal(3, "layerwise", "vllm-router", 0.65),
    Goal(4, "standard", "vllm-router", 1.0),
    Goal(4, "layerwise", "vllm-router", 1.0),
)


def measured(contestant: Contestant, scenario: Scenario, seconds: float) -> Figure:
    """One run of the load."""
    before = contestant.cpu_seconds()
    words = (contestant.port, scenario.connections, seconds, int(scenario.stream), scenario.pause_ms)
    out, _ = python("tests.proxy.speed", "load", *words, core=1).communicate(timeout=60)
    found = json.loads(out)
    used = contestant.cpu_seconds() - before
    return Figure(found["count"] / found["seconds"], found["median"], used / found["count"])


def medians(figures: Iterable[Figure]) -> Figure:
    """The median of each field."""
    return Figure(*(statistics.median(values) for values in zip(*figures, strict=True)))


def compared(contestants: list[Contestant], options: argparse.Namespace) -> None:
    """Print the table of all contestants, and what their CPU is as a multiple of the first one's."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for _ in range(options.rounds):
        for scenario in SCENARIOS:
            for contestant in contestants:
                figure = measured(contestant, scenario, options.seconds)
                found.setdefault((scenario.title, contestant.name), []).append(figure)
    print(f"| CPU µs per answer, or per token | {' | '.join(each.name for each in contestants)} |")
    print(f"|---|{'---|' * len(contestants)}")
    for scenario in SCENARIOS:
        figures = [medians(found[scenario.title, each.name]) for each in contestants]
        parts = TOKENS if scenario.stream else 1
        first = figures[0].cpu
        cells = [f"{f.cpu * 1e6 / parts:.{1 if scenario.stream else 0}f} ({f.cpu / first:.2f})" for f in figures]
        print(f"| {scenario.title} | {' | '.join(cells)} |")
        print(f"| … median ms | {' | '.join(f'{f.median * 1e3:.2f}' for f in figures)} |", flush=True)
    print()
    for goal in GOALS:
        own, other = (found.get((SCENARIOS[goal.scenario].title, name)) for name in (goal.contestant, goal.other))
        if own and other:
            reached = medians(own).cpu / medians(other).cpu
            print(f"{SCENARIOS[goal.scenario].title}: {goal.contestant} {reached:.2f} × {goal.other}, goal {goal.most}")


def ratio(first: Contestant, second: Contestant, options: argparse.Namespace) -> tuple[Figure, Figure]:
    """Two contestants under 32 connections, in turns."""
    scenario, found = SCENARIOS[1], ([], [])  # type: tuple[Scenario, tuple[list[Figure], list[Figure]]]
    for _ in range(options.rounds):
        for figures, contestant in zip(found, (first, second), strict=True):
            figures.append(measured(contestant, scenario, options.seconds))
    return medians(found[0]), medians(found[1])


def scaled(ports: list[int], places: list[int], options: argparse.Namespace, running: list[Contestant]) -> None:
    """What many instances and several workers cost."""
    half = STORM // 2
    few = proxy("2 instances", "layerwise", places[0], ports[:1], ports[1:2])
    many = proxy(f"{STORM} instances", "layerwise", places[1], ports[:half], ports[half:])
    running += [few, many]
    one, other = ratio(few, many, options)
    print(f"\n{STORM} instances cost {other.cpu / one.cpu:.2f} times as much CPU per answer as 2")
    for mode, place, second in (("layerwise", places[2], places[3]), ("standard", places[4], places[5])):
        alone = proxy("one worker", mode, place, ports[:2], ports[2:4])
        both = proxy("two workers", mode, second, ports[:2], ports[2:4], 2)
        running += [alone, both]
        one, other = ratio(alone, both, options)
        print(f"{mode}: two workers serve {2 * one.cpu / other.cpu:.2f} times what one does, by CPU per answer")


def start(places: list[int], prefill: list[int], decode: list[int], running: list[Contestant]) -> None:
    """All that are installed, each added to `running` when it serves; the others are named."""
    others = {"nginx": nginx(places[0], decode)}
    running += [each for each in others.values() if each is not None]
    others["vllm-router"] = vllm_router(places[1], decode, places[2])
    running += [each for each in (others["vllm-router"],) if each is not None]
    running.append(relay(places[3], decode))
    missing = [name for name, contestant in others.items() if contestant is None]
    loops = {"": True, ", asyncio's loop": False} if has_uvloop() else {"": False}
    if missing or not has_uvloop():
        print(f"not installed, so not in the table: {', '.join([*missing, *([] if has_uvloop() else ['uvloop'])])}\n")
    names = [(mode, mode + words, uvloop) for words, uvloop in loops.items() for mode in ("standard", "layerwise")]
    for place, (mode, name, uvloop) in zip(places[4:], names, strict=False):
        running.append(proxy(name, mode, place, prefill, decode, uvloop=uvloop))


def grown(contestant: Contestant) -> None:
    """Memory over 100,000 requests."""
    asked, sizes = 0, list[float]()
    while asked < 100_000:
        asked += round(measured(contestant, Scenario("", 64), 4.0).rate * 4)
        sizes.append(contestant.megabytes())
    since = f"{sizes[-1] - sizes[len(sizes) // 2]:+.1f} MB since half of them"
    print(f"after {asked} more requests the proxy holds {sizes[-1]:.1f} MB, {since}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--brief", action="store_true", help="the table alone")
    options = parser.parse_args()
    free = free_ports(14 + STORM)
    places, ports = free[STORM:], free[:STORM]
    served = python("tests.proxy.speed", "engines", ",".join(map(str, ports)), core=1)
    assert served.stdout is not None
    served.stdout.readline()
    running: list[Contestant] = []
    try:
        start(places, ports[:2], ports[2:4], running)
        compared(running, options)
        if not options.brief:
            layerwise = next(each for each in running if each.name == "layerwise")
            scaled(ports, places[8:], options, running)
            grown(layerwise)
    finally:
        for each in running:
            each.process.terminate()
        served.kill()


def roles() -> dict[str, Callable[[list[str]], Awaitable[object]]]:
    """The processes that this module can be."""

    async def asked(words: list[str]) -> None:
        found = await load([int(words[0])], int(words[1]), float(words[2]), words[3] == "1", float(words[4]))
        print(json.dumps(found))

    async def relayed(words: list[str]) -> None:
        from tests.proxy.speed.relay import relay as serve  # aiohttp takes a while to import

        await serve(int(words[0]), [int(words[1])])

    return {
        "engines": lambda words: engines([int(port) for port in words[0].split(",")]),
        "relay": relayed,
        "load": asked,
    }


if __name__ == "__main__":
    role = roles().get(sys.argv[1]) if len(sys.argv) > 1 else None
    if role is None:
        main()
    else:
        asyncio.run(role(sys.argv[2:]))  # type: ignore[arg-type]
