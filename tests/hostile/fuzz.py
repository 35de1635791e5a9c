"""`make fuzz`: mutated files through every verb that reads them, in one process, some thirty a second.

A run is bounded and repeatable: `python -m tests.hostile.fuzz --seconds 60 --seed 7`, or `--count 100000`. An input is
wrong that ends in an internal error, in another exit code than 0, 1 or 2, in a file that the verb does not write, in
half a file, in output that a terminal or a workflow's log would obey, or that takes more than ten seconds of processor
time. Such inputs are kept below `build/fuzz`; once mended they belong into `seeds`, from where every run starts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import yaml

from tests.hostile.branch import Done, stormc
from tests.hostile.mutations import mutated
from tests.hostile.targets import ROOT, SEEDS, TARGETS, Target, files, prepare, restore

KEPT = ROOT / "build" / "fuzz"
SLOW = 10
Input = tuple[Target, bytes, list[str]]
_OBEYED = re.compile(r"##\w*\[|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COMMAND = re.compile(r"(?m)^\s*::")


class TooSlow(BaseException):
    """The input took too long. Not an Exception, which the program would catch."""


class Bench:
    """A prepared repository, to which inputs are given one after the other."""

    def __init__(self, root: Path) -> None:
        self.root, self.code = root, 0
        prepare(root)
        self.honest = files(root)
        signal.signal(signal.SIGVTALRM, _too_slow)

    def run(self, given: Input) -> str:
        """What went wrong with an input; empty where nothing did."""
        target, raw, words = given
        file = self.root / target.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
        signal.setitimer(signal.ITIMER_VIRTUAL, SLOW)
        try:
            done = stormc(self.root, *words)
        except TooSlow:
            return f"more than {SLOW} s"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            after = files(self.root)
            restore(self.root, self.honest, after)
        self.code = done.code
        return _ended(done) or _printed(done, words) or self._wrote(given, after)

    def _wrote(self, given: Input, after: dict[str, bytes]) -> str:
        target, raw, _ = given
        before = {**self.honest, target.file: raw}
        changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
        if foreign := [name for name in changed if not name.startswith(target.writes or ("//",))]:
            return f"changed {foreign[0]}"
        return next((f"half a file: {name}" for name in changed if name in after and not _whole(name, after[name])), "")


def _too_slow(*_: object) -> None:
    raise TooSlow


def _ended(done: Done) -> str:
    if "internal error" in done.err:
        return done.err.strip().splitlines()[-1]
    return "" if done.code in (0, 1, 2) else f"exit code {done.code}"


def _printed(done: Done, words: list[str]) -> str:
    form = words[words.index("--format") + 1] if "--format" in words else "text"
    for text in (done.out, done.err):
        if match := _OBEYED.search(text):
            return f"printed {match[0]!r}"
        if form != "github" and (match := _COMMAND.search(text)):
            return f"printed {match[0]!r} at the start of a line"
    if form in ("json", "gitlab", "sarif") and done.out:
        try:
            json.loads(done.out)
        except ValueError as error:
            return f"no JSON: {error}"
    return ""


def _whole(name: str, raw: bytes) -> bool:
    """Whether a written file is complete, as far as one can see."""
    if not raw.endswith(b"\n"):
        return False
    try:
        return not name.endswith(".yaml") or list(yaml.load_all(raw, yaml.CSafeLoader)) not in ([], [None])
    except yaml.YAMLError:
        return False


def seeds() -> Iterator[Input]:
    """The inputs that once went wrong: `seeds/TARGET-….yaml`, the longest name of a target first."""
    by_length = sorted(TARGETS, key=lambda target: -len(target.name))
    for path in sorted(SEEDS.iterdir()):
        target = next(target for target in by_length if path.name.startswith(f"{target.name}-"))
        yield target, path.read_bytes(), target.words(random.Random(path.name))


def inputs(seed: int) -> Iterator[Input]:
    """Targets in turn, each with a mutated input, without end."""
    pick = random.Random(seed)
    for _ in count():
        for target in TARGETS:
            yield target, mutated(target.text(pick), pick), target.words(pick)


def fuzz(seed: int, seconds: float, most: int) -> tuple[int, list[str]]:
    """How many inputs ran, and what went wrong with which of them."""
    end, number, wrong = time.monotonic() + seconds, 0, []
    with tempfile.TemporaryDirectory(prefix="stormc-fuzz-") as directory:
        bench = Bench(Path(directory))
        os.chdir(directory)
        for given in seeds():
            number += 1
            if problem := bench.run(given):
                wrong.append(f"seed of {given[0].name} {given[2]}: {problem}")
        for given in inputs(seed):
            if time.monotonic() > end or number >= most:
                break
            number += 1
            if problem := bench.run(given):
                KEPT.mkdir(parents=True, exist_ok=True)
                name = f"{given[0].name}-{seed}-{number}.yaml"
                (KEPT / name).write_bytes(given[1])
                wrong.append(f"{name} {given[2]}: {problem}")
                print(wrong[-1], flush=True)
        os.chdir(ROOT)
    return number, wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=1 << 62)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ran, problems = fuzz(options.seed, options.seconds, options.count)
    print(f"{ran} inputs, {len(problems)} wrong")
    raise SystemExit(1 if problems else 0)
