"""`make fuzz`: mutated specs, platform files and StormServices through every verb that reads them.

A run is bounded in time and repeatable: `python -m tests.hostile.fuzz --seconds 60 --seed 7`. What ends in an internal
error, in a half-written file or in a run of more than ten seconds of processor time is kept below `build/fuzz`.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from stormc.__main__ import main
from tests.policy.matrix import APP, HOSTILE, POLICY

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "fuzz"
SLOW = 10.0
WORDS = [
    "null",
    "[]",
    "{}",
    "-1",
    "1e9",
    "'x'",
    "*a",
    "&a x",
    "|",
    "- ",
    "  ",
    "\t",
    "\x07",
    "é",
    "${A}",
    "##[error]",
    "~",
    ":",
]
Target = tuple[str, Callable[[Path], list[str]], Callable[[random.Random], str]]


def specs(pick: random.Random) -> str:
    """An app, often a hostile one."""
    fields = pick.choice([*(fields for fields, _ in HOSTILE.values()), ""])
    return f"{APP}{fields}\n"


def storm_services(pick: random.Random) -> str:
    """A rendered StormService of the examples."""
    return pick.choice(sorted((ROOT / "rendered").rglob("stormservice-*.yaml"))).read_text()


TARGETS: list[Target] = [
    ("validate", lambda file: ["validate", "--specs", str(file.parent)], specs),
    ("render", lambda file: ["render", "--specs", str(file.parent), "--out", str(file.parents[1] / "out")], specs),
    ("fmt", lambda file: ["fmt", str(file)], specs),
    ("policy", lambda file: ["policy", "show", "app", "--specs", str(file.parent)], specs),
    ("platform", lambda file: ["validate", "--specs", str(file.parent)], lambda pick: POLICY),
    ("import", lambda file: ["import", str(file), "--hardware", "atlas-800i-a2"], storm_services),
]  # fmt: skip


def mutated(text: str, pick: random.Random) -> str:
    """The text with some lines moved, doubled, cut, or with words put in."""
    lines = text.split("\n")
    for _ in range(pick.choice((0, 1, 1, 2, 5))):
        at = pick.randrange(len(lines))
        action = pick.randrange(5)
        if action == 0:
            lines.insert(pick.randrange(len(lines)), lines[at])
        elif action == 1 and len(lines) > 1:
            del lines[at]
        elif action == 2:
            lines[at] = " " * pick.randrange(12) + lines[at].lstrip()
        elif action == 3:
            column = pick.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + pick.choice(WORDS) + lines[at][column:]
        else:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {pick.choice(WORDS)}"
    return "\n".join(lines)


def run(target: Target, text: str, directory: Path) -> str:
    """What went wrong with an input; empty where nothing did."""
    name, words, _ = target
    file = directory / "specs" / ("platform.yaml" if name == "platform" else "app.yaml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    err = io.StringIO()
    start = time.process_time()
    with redirect_stdout(io.StringIO()), redirect_stderr(err):
        try:
            code = main(words(file))
        except SystemExit as end:
            code = int(end.code or 0)
    seconds = time.process_time() - start
    left = [path.name for path in file.parent.iterdir() if path != file and path.name != "out"]
    file.unlink()
    if "internal error" in err.getvalue():
        return err.getvalue().strip().splitlines()[-1]
    if code not in (0, 1, 2) or left:
        return f"exit code {code}, left {left}"
    return f"{seconds:.0f} s" if seconds > SLOW else ""


def inputs(seed: int, seconds: float) -> Iterator[tuple[Target, str]]:
    """Targets in turn, each with a mutated input, for so long."""
    pick, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        for target in TARGETS:
            yield target, mutated(target[2](pick), pick)


def fuzz(seed: int, seconds: float) -> tuple[int, list[str]]:
    """How many inputs ran, and what went wrong with which of them."""
    count, wrong = 0, []
    with tempfile.TemporaryDirectory(prefix="stormc-fuzz-") as directory:
        os.chdir(directory)
        for target, text in inputs(seed, seconds):
            count += 1
            problem = run(target, text, Path(directory))
            if problem:
                KEPT.mkdir(parents=True, exist_ok=True)
                (KEPT / f"{target[0]}-{seed}-{count}.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
                wrong.append(f"{target[0]}-{seed}-{count}: {problem}")
        os.chdir(ROOT)
    return count, wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    count, wrong = fuzz(options.seed, options.seconds)
    print("\n".join([*wrong, f"{count} inputs, {len(wrong)} wrong"]))
    raise SystemExit(1 if wrong else 0)
