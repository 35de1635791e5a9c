"""Compare ways to choose a prefill instance, in virtual time: `make bench-routing`, or with traces TRACES="a.jsonl …".

The proxy's own pool, index and rule choose among engines that are a model (tests/proxy/routing/engines.py), as do round
robin, AIBrix's rule and an oracle that sees all queues and caches. Waits are those to the first token. Exits 1 when a
target is missed. What the choice costs the proxy is measured in CPU time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.instance import prefill_load
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.prompt_keys import prompt_of
from stormc_proxy.flow.body import Body
from stormc_proxy.settings import Address
from tests.proxy.routing.engines import Engine, Outcome, Rule, fleet, replay, stretch_for
from tests.proxy.routing.rules import KEYS, AIBrix, Oracle, Proxy, RoundRobin, Routers
from tests.proxy.routing.traffic import Traffic, conversations, trace_from

FLEETS, LOADS = (4, 8, 16), (0.3, 0.7, 0.9)
SESSIONS_PER_ENGINE = 300
PROMPTS = 20_000
"""A cell replays its traffic, each time made or spread anew, until it has so many prompts: a p99 needs some."""

P50, P99, P99_MEAN, WORK, COST = 1.05, 1.8, 1.15, 1.0, 35.0
"""Targets: waits and work relative to the oracle's, and microseconds for a prompt of 48 KB."""

HEADERS = b"Authorization: Bearer 0123456789abcdef\r\nContent-Type: application/json\r\nAccept: */*\r\n"

Maker = Callable[[list[Engine]], Rule]
RULES: dict[str, Maker] = {
    "oracle": Oracle,
    "round robin": RoundRobin,
    "load only": partial(Proxy, weight=0.0),
    "AIBrix": AIBrix,
    "proxy": Proxy,
}
PODS: dict[str, Maker] = {
    "2 pods": partial(Routers, number=2, tell=True),
    "4 pods": partial(Routers, number=4, tell=True),
    "2 pods, mute": partial(Routers, number=2, tell=False),
    "4 pods, mute": partial(Routers, number=4, tell=False),
}
"""Several routing pods, in cells with 8 engines; mute ones do not tell each other what they do."""

JUDGED = ("proxy", "2 pods", "4 pods")


class Cell(NamedTuple):
    """Traffic, number of engines, and their load under an ideal cache."""

    source: str
    engines: int
    load: float


def traffic_of(source: str, engines: int, seed: int) -> Traffic:
    """Made up, or a file's."""
    if source == "conversations":
        return conversations(SESSIONS_PER_ENGINE * engines, seed)
    return trace_from(Path(source), seed)


def outcomes(cell: Cell) -> tuple[Cell, dict[str, Outcome]]:
    """What becomes of the cell's prompts under each rule."""
    rules = {**RULES, **PODS} if cell.engines == 8 else RULES
    replays: dict[str, list[Outcome]] = {name: [] for name in rules}
    seed = prompts = 0
    while prompts < PROMPTS:
        seed += 1
        traffic = traffic_of(cell.source, cell.engines, seed)
        prompts += len(traffic.prompts)
        stretch = stretch_for(traffic, cell.engines, cell.load)
        for name, rule in rules.items():
            engines = fleet(cell.engines, traffic.block)
            replays[name].append(replay(traffic, stretch, engines, rule(engines)))
    return cell, {name: together(parts) for name, parts in replays.items()}


def together(parts: list[Outcome]) -> Outcome:
    """Several replays as one."""
    waits = sorted(wait for part in parts for wait in part.waits)
    return Outcome(waits, sum(part.work for part in parts), sum(part.hit for part in parts) / len(parts))


class Ratios(NamedTuple):
    """A rule's waits and work as multiples of the oracle's."""

    p50: float
    p99: float
    work: float


def ratios(outcome: Outcome, oracle: Outcome) -> Ratios:
    """Relative to the oracle."""
    p50, p99 = (outcome.wait(percent) / oracle.wait(percent) for percent in (50, 99))
    return Ratios(p50, p99, outcome.work / oracle.work)


def missed(rule: str, cells: Iterable[tuple[Cell, Ratios]]) -> list[str]:
    """Targets that a rule misses, for people."""
    found, tails = [], []
    for cell, ratio in cells:
        tails.append(math.log(ratio.p99))
        for name, value, target in (("p50", ratio.p50, P50), ("p99", ratio.p99, P99), ("work", ratio.work, WORK)):
            if value > target:
                found.append(
                    f"{rule}, {cell.source}, {cell.engines} engines, {cell.load:.0%}: {name} {value:.2f} > {target}"
                )
    mean = math.exp(sum(tails) / len(tails))
    if mean > P99_MEAN:
        found.append(f"{rule}, p99, geometric mean: {mean:.2f} > {P99_MEAN}")
    return found


def compare(sources: list[str]) -> list[str]:
    """Print a row for each cell and rule; the targets that are missed."""
    cells = [Cell(source, engines, load) for source in sources for engines in FLEETS for load in LOADS]
    print("waits for the first token and prefill work, as multiples of the oracle's (in brackets: seconds, and the")
    print("share of the prompts' tokens that was cached)\n")
    print(f"{'traffic':18s} {'engines':>7s} {'load':>5s}  {'rule':13s} {'p50':>17s} {'p99':>17s} {'work':>14s}")
    judged: dict[str, list[tuple[Cell, Ratios]]] = {}
    with ProcessPoolExecutor() as processes:
        for cell, results in processes.map(outcomes, cells):
            for name, outcome in results.items():
                ratio = ratios(outcome, results["oracle"])
                print(
                    f"{Path(cell.source).stem:18s} {cell.engines:7d} {cell.load:5.0%}  {name:13s}"
                    f" {ratio.p50:8.2f} ({outcome.wait(50):6.2f}) {ratio.p99:8.2f} ({outcome.wait(99):6.2f})"
                    f" {ratio.work:6.2f} ({outcome.hit:4.0%})",
                    flush=True,
                )
                judged.setdefault(name, []).append((cell, ratio))
    worst(judged)
    return [failure for name in JUDGED for failure in missed(name, judged[name])]


def worst(cells: dict[str, list[tuple[Cell, Ratios]]]) -> None:
    """Print for each rule and source the worst of the cells."""
    print(f"\n{'worst cell':18s} {'rule':13s} {'p50':>8s} {'p99':>8s} {'work':>6s}")
    for source in dict.fromkeys(cell.source for cell, _ in cells["proxy"]):
        for name, judged in cells.items():
            found = [ratio for cell, ratio in judged if cell.source == source]
            p50, p99, work = (max(values) for values in zip(*found, strict=True))
            print(f"{Path(source).stem:18s} {name:13s} {p50:8.2f} {p99:8.2f} {work:6.2f}")


def microseconds(work: Callable[[], object], times: int = 200, rounds: int = 15) -> float:
    """CPU time of one call, of the fastest of some rounds."""
    fastest = math.inf
    for _ in range(rounds):
        began = time.process_time_ns()
        for _ in range(times):
            work()
        fastest = min(fastest, (time.process_time_ns() - began) / times / 1000)
    return fastest


def chat(start: str, size: int) -> Body:
    """A chat request of so many bytes whose first message begins with `start`."""
    text = start + os.urandom(max(0, size - len(start)) // 2).hex()
    return Body(json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}).encode())


def cost(size: int) -> float:
    """Microseconds that the choice adds to a request of `size` bytes, half of it known to 16 instances."""
    pool = Pool("prefill", [Address(f"prefill-{number}", 8000) for number in range(16)], PoolPolicy(), time.monotonic)
    affinity, instances = Affinity(KEYS, 5.0), list(pool)
    starts = [os.urandom(12_000).hex() for _ in range(16)]
    number = 0
    while len(affinity.index) < KEYS:
        number += 1
        known = prompt_of(chat(starts[number % 16][: number * 997 % 20_000], 20_000 + number * 991 % 20_000))
        affinity.note_choice(known, instances[number % 16])
    body = chat(starts[0], size)
    for instance in instances:
        affinity.note_choice(prompt_of(chat(starts[0], 25_000)), instance)

    def choose() -> None:
        lease = affinity.pick(pool, affinity.prompt(body, HEADERS), "layerwise")
        assert lease is not None
        lease.release()

    def plain() -> None:
        lease = pool.pick(prefill_load(size, "layerwise"))
        assert lease is not None
        lease.release()

    return microseconds(choose) - microseconds(plain)


def main() -> int:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="*", help="files in the form of Mooncake's traces, beside what is made up here")
    parser.add_argument("--cost", action="store_true", help="only what the choice costs the proxy")
    options = parser.parse_args()
    failures = [] if options.cost else compare(["conversations", *options.traces])
    print(f"\nCPU time of the choice, 16 instances, {KEYS} keys, over that of load alone:")
    for size in (4_000, 48_000, 400_000):
        spent = cost(size)
        print(f"  prompt of {size // 1000:3d} KB {spent:6.1f} µs")
        if size == 48_000 and spent > COST:
            failures.append(f"prompt of 48 KB: {spent:.1f} µs > {COST:.0f}")
    for failure in failures:
        print(f"missed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
