"""Speed as ratios, measured in one run on the machine at hand: python -m tests.bench [--apps 1000] [--quick].

Two baselines make the figures comparable between machines: PyYAML's C emitter writing the same manifests of the same
apps to as many files, and the start of a bare interpreter. Everything else is the real command as a process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stormc.tree.memory import memory_directory

ROOT = Path(__file__).parent.parent
APPS_PER_DIRECTORY = 20
PLAIN = 1
"""This app, and those a multiple of 50 further, are like most: without an override."""
HARDWARE = {
    "atlas-800i-a2": 8, "atlas-900-a2-pod": 8, "atlas-800i-a3": 16, "atlas-900-a3-superpod": 16,
    "atlas-9000-a3-superpod": 8,
}  # fmt: skip
MODELS = ("Qwen3-30B-A3B-Instruct-2507", "Qwen3-8B", "DeepSeek-V3.1", "DeepSeek-R1-0528", "Kimi-K2", "GLM-4.5")

COLD_MOST = 1.5
UNCHANGED_MOST = 0.15
ONE_CHANGED_MOST = 3.0
GROWTH_MOST = 1.1
"""10,000 apps at most 11 times 1,000 apps: per tenfold size the cost per app may grow by a tenth."""
VALIDATE_MOST = 10.0
HOOK_MOST = 12.0
HELP_MILLISECONDS_MOST = 60.0
MEGABYTES_MOST = 250.0


class Run(NamedTuple):
    """One finished process: wall-clock seconds and peak resident memory."""

    seconds: float
    megabytes: float


class Row(NamedTuple):
    """A line of the report; `most` is the target that the figure must not exceed, None where there is none."""

    what: str
    measured: str
    figure: float | None = None
    unit: str = ""
    most: float | None = None

    @property
    def verdict(self) -> str:
        """ok or MISSED; empty for a row without a target."""
        if self.figure is None or self.most is None:
            return ""
        return "ok" if self.figure <= self.most else "MISSED"


def role(pick: random.Random, npus: int, size: int, tensors: Sequence[int]) -> list[str]:
    """The fields of a role whose ranks fill its pods, each on one of so many NPUs."""
    tensor = pick.choice([t for t in tensors if t <= npus])
    fields = [f"podGroupSize: {size}", f"tensorParallel: {tensor}", f"dataParallel: {npus // tensor * size}"]
    if size > 1 and pick.random() < 0.2:
        fields.append("distributedDp: false")
    if pick.random() < 0.3:
        fields.append(f"engineArgs: {{max-model-len: {pick.choice([8192, 16384, 32768])}, max-num-seqs: 64}}")
    if pick.random() < 0.2:
        fields.append(f"env: {{HCCL_BUFFSIZE: {pick.randrange(200, 1200)}}}")
    return fields


def spec_text(number: int) -> str:
    """A distinct, valid app; the same number gives the same text."""
    pick = random.Random(number)
    hardware = pick.choice(list(HARDWARE))
    npus = HARDWARE[hardware]
    lines = [
        "apiVersion: stormc.dev/v1", "kind: App", f"name: app-{number:05d}", f"namespace: team-{number % 37}",
        "model:", f"  name: model-{number}", f"  path: /mnt/models/{pick.choice(MODELS)}",
        f"image: vllm-ascend:v0.12.{pick.randrange(4)}", f"hardware: {hardware}", f"port: {8000 + number % 500}",
    ]  # fmt: skip
    tensors = {"prefill": (4, 8), "decode": (1, 2, 4)}  # a rank of prefill sends its KV cache to one or several (E705)
    for name in ("prefill", "decode"):
        lines += [f"{name}:", f"  replicas: {pick.choice([1, 1, 2, 3])}"]
        lines += [f"  {field}" for field in role(pick, npus, pick.choice([1, 1, 2, 4]), tensors[name])]
    if pick.random() < 0.3:
        lines += ["faults:", f"  retries: {pick.randrange(1, 20)}", "  subHealthy: forceExit"]
    if number % 50 == 0:
        lines += [
            "overrides:", f"  - target: Service/app-{number:05d}-router", "    patch: {spec: {type: NodePort}}",
            f"    reason: ticket {number}", "    owner: platform",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def spec_path(number: int) -> str:
    """Where the app lies below specs/."""
    directory = number // APPS_PER_DIRECTORY
    return f"region-{directory % 5}/group-{directory:03d}/app-{number:05d}.yaml"


def generate(root: Path, numbers: Iterable[int]) -> Path:
    """A repository of these apps; every third directory of apps has a platform file."""
    for number in numbers:
        file = root / "specs" / spec_path(number)
        if not file.parent.exists():
            file.parent.mkdir(parents=True)
            if number // APPS_PER_DIRECTORY % 3 == 0:
                (file.parent / "platform.yaml").write_text(
                    "apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "
                    + ('"26.1"\n' if number % 2 else '"7.3"\n')
                    + f"namespace: shared\ndefaults:\n  proxy: {{drainSeconds: {30 + number % 60}}}\n"
                    "  prefill: {env: {TEAM: search}}\n"
                )
        file.write_text(spec_text(number))
    return root


def run(command: list[str], cwd: Path) -> Run:
    """Runs a process to its end; fails loudly unless it succeeds."""
    with tempfile.TemporaryFile() as errors:  # a pipe that nobody reads would stop a process with many warnings
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}: {errors.read().decode()}")
    return Run(seconds, usage.ru_maxrss / 1024)


ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
STORMC = [os.path.join(os.path.dirname(sys.executable), "stormc")]
BARE = [sys.executable, "-I", "-c", "pass"]


def render(root: Path, jobs: int = 1, cold: bool = False) -> Run:
    """A full render; a cold one starts without cache and output."""
    if cold:
        shutil.rmtree(root / "rendered", ignore_errors=True)
        shutil.rmtree(memory_directory(root / "rendered", root / "specs") or root / "none", ignore_errors=True)
    return run([*STORMC, "render", "-j", str(jobs)], root)


def changed(root: Path, number: int, turn: int) -> Run:
    """A full render after one spec got another port."""
    file = root / "specs" / spec_path(number)
    file.write_text(re.sub("port: .*", f"port: {9000 + turn}", spec_text(number)))
    return render(root)


def emission(root: Path) -> tuple[float, int]:
    """Seconds that PyYAML's C emitter takes for the manifests of the repository's apps, and how many files.

    A process of its own: it prepares the manifests before the clock starts and says what the clock showed.
    """
    command = [sys.executable, "-m", "tests.bench", "--emission", str(root)]
    text = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout
    seconds, files = json.loads(text)
    return seconds, files


def emit_all(root: Path) -> tuple[float, int]:
    """What `emission` runs."""
    import gc

    import yaml

    gc.disable()
    manifests = list(prepared(root))
    with tempfile.TemporaryDirectory(dir=root) as target:
        start = time.perf_counter()
        for path, manifest in manifests:
            file = f"{target}/{path}"
            if path.endswith("kustomization.yaml"):
                os.makedirs(os.path.dirname(file))
            with open(file, "w", encoding="utf-8") as stream:
                yaml.dump(manifest, stream, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
        return time.perf_counter() - start, len(manifests)


def prepared(root: Path) -> Iterator[tuple[str, Any]]:
    """Every manifest of the rendered repository, read back with PyYAML; an app's kustomization comes first."""
    import yaml

    rendered = root / "rendered"
    for file in sorted(rendered.rglob("kustomization.yaml")):
        for other in (file, *sorted(set(file.parent.iterdir()) - {file})):
            yield str(other.relative_to(rendered)), yaml.load(other.read_bytes(), Loader=yaml.CSafeLoader)


RULES_MOST = 1.0
SHARE_NAMED = 0.1
"""A rule that takes a larger share of all rules' time is named."""


def rules(root: Path) -> Iterator[Row]:
    """CPU seconds of all rules over those of passes and emission, in one process of its own; heavy rules by name."""
    command = [sys.executable, "-m", "tests.bench", "--rules", str(root)]
    text = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout
    apps, rendering, shares = json.loads(text)
    total = sum(shares.values())
    yield Row(f"all rules over {apps} apps", f"{total:.3f} s", total / rendering, "× passes + emit", RULES_MOST)
    for rule, seconds in shares.items():
        if seconds > SHARE_NAMED * total:
            yield Row(f"  of which {rule}", f"{seconds:.3f} s", 100 * seconds / total, "% of all rules")


def judge_all(root: Path) -> tuple[int, float, dict[str, float]]:
    """What `rules` runs: number of apps, CPU seconds of passes and emission, CPU seconds of each rule."""
    from unittest import mock

    from stormc.compile import stages
    from stormc.load.sources import read_sources
    from stormc.passes import runner
    from stormc.payload.read import read_payload
    from stormc.repository.judge import check_repository
    from stormc.repository.repository import open_repository
    from stormc.rules.rule import Rule
    from stormc.tree import layout
    from tests.rules.judged import changed_rules

    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any], drain: bool = False) -> Callable[..., Any]:
        def clocked(*arguments: Any) -> Any:
            start = time.process_time()
            result = function(*arguments)
            if drain:
                result = list(result)
            spent[name] = spent.get(name, 0.0) + time.process_time() - start
            return result

        return clocked

    def clocked(applied: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(rule._replace(check=timed(rule.id, rule.check, drain=True)) for rule in applied)

    repository = open_repository(read_sources(root / "specs"))
    with (
        changed_rules(clocked),
        mock.patch.object(stages, "run_pipeline", timed("passes", runner.run_pipeline)),
        mock.patch.object(layout, "layout", timed("emit", layout.layout)),
    ):
        compiled = [repository.compile(source, read_payload()) for source in repository.apps]
        list(check_repository(repository, [made.summary for made in compiled if made.summary], "2026-01-01"))
    return len(repository.apps), spent.pop("passes") + spent.pop("emit"), spent


def median(times: int, measure: Callable[[int], Run]) -> float:
    """The median seconds of several runs."""
    return statistics.median(measure(turn).seconds for turn in range(times))


def measure(directory: Path, apps: int, rounds: int, large: int) -> Iterator[Row]:
    """All rows of the report, in the order in which they were measured."""
    one, many = generate(directory / "one", [PLAIN]), generate(directory / "many", range(apps))
    render(many, cold=True)
    render(one, cold=True)

    emitted, cold, parallel, unchanged, single, alone = [], [], [], [], [], []
    memory = 0.0
    files = 0
    for turn in range(rounds):
        seconds, files = emission(many)
        emitted.append(seconds)
        parallel.append(render(many, jobs=2, cold=True).seconds)
        full = render(many, cold=True)
        cold.append(full.seconds)
        memory = max(memory, full.megabytes)
        unchanged += [render(many).seconds for _ in range(3)]
        single += [changed(many, apps // 2 + PLAIN, 2 * turn + odd).seconds for odd in (0, 1)]
        alone += [changed(one, PLAIN, 2 * turn + odd).seconds for odd in (0, 1)]
    baseline = statistics.median(emitted)
    yield Row(f"A: PyYAML C emitter, {files} files of {apps} apps", f"{baseline:.3f} s")

    def against(what: str, seconds: list[float], most: float | None) -> Row:
        value = statistics.median(seconds)
        return Row(what, f"{value:.3f} s", value / baseline, "× A", most)

    yield against("cold render, -j 1", cold, COLD_MOST)
    yield against("cold render, -j 2", parallel, None)
    yield against("unchanged render", unchanged, UNCHANGED_MOST)
    value, small = statistics.median(single), statistics.median(alone)
    yield Row("one changed spec, full render", f"{value:.3f} s", value / small, "× one-app render", ONE_CHANGED_MOST)
    yield Row("one-app repository, one changed spec", f"{small:.3f} s")
    yield Row(f"peak memory, {apps} apps, -j 1", f"{memory:.0f} MB", memory, "MB", MEGABYTES_MOST)
    yield from rules(many)
    yield from starts(one, many, apps, 5 * rounds)
    if large:
        huge = generate(directory / "huge", range(large))
        full = render(huge, cold=True)
        again = render(many, cold=True)
        ratio = full.seconds / statistics.median([*cold, again.seconds])
        yield Row(f"cold render of {large} apps, -j 1", f"{full.seconds:.2f} s", ratio, f"× {apps} apps",
                  GROWTH_MOST * large / apps)  # fmt: skip
        yield Row(f"peak memory, {large} apps, -j 1", f"{full.megabytes:.0f} MB")


def starts(one: Path, many: Path, apps: int, rounds: int) -> Iterator[Row]:
    """The rows of what people wait for at a prompt; interleaved, so that a busy moment touches all of them."""
    bare, shown, small, large, stale, patched = [], [], [], [], [], []
    spec = f"specs/{spec_path(apps // 2 + PLAIN)}"
    with_override = f"specs/{spec_path(apps // 100 * 50)}"  # one app in 50 loads jsonschema, for its override
    for _ in range(rounds):
        bare.append(run(BARE, one).seconds)
        shown.append(run([*STORMC, "--help"], one).seconds)
        small.append(run([*STORMC, "validate", f"specs/{spec_path(PLAIN)}"], one).seconds)
        large.append(run([*STORMC, "validate", spec], many).seconds)
        patched.append(run([*STORMC, "validate", with_override], many).seconds)
        stale.append(run([*STORMC, "render", "--check", spec], many).seconds)
    base = statistics.median(bare)
    yield Row("B: bare interpreter start", f"{base * 1000:.1f} ms")
    value = statistics.median(small)
    yield Row("validate one spec, one-app repository", f"{value * 1000:.0f} ms", value / base, "× B", VALIDATE_MOST)
    value = statistics.median(large)
    yield Row(
        f"validate one spec of {apps} apps", f"{value * 1000:.0f} ms", value / base, "× B", VALIDATE_MOST
    )  # fmt: skip
    value = statistics.median(patched)
    yield Row(f"validate one with an override, {apps} apps", f"{value * 1000:.0f} ms", value / base, "× B")
    value = statistics.median(stale)
    yield Row(f"hook: render --check, 1 of {apps} apps", f"{value * 1000:.0f} ms", value / base, "× B", HOOK_MOST)
    value = statistics.median(shown)
    over = (value - base) * 1000
    yield Row("--help", f"{value * 1000:.0f} ms", over, "ms over B", HELP_MILLISECONDS_MOST)


def report(rows: Iterator[Row]) -> bool:
    """Prints each row as soon as it is known; whether all targets were reached."""
    print(f"{'':44} {'measured':>10}  {'figure':>26}  {'target':>8}")
    reached = True
    for row in rows:
        figure = "" if row.figure is None else f"{row.figure:.2f} {row.unit}"
        target = "" if row.most is None else f"≤ {row.most:g}"
        print(f"{row.what:44} {row.measured:>10}  {figure:>26}  {target:>8}  {row.verdict}".rstrip(), flush=True)
        reached = reached and row.verdict != "MISSED"
    return reached


def main() -> int:
    """Measures and reports; 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--apps", type=int, default=1000, help="size of the repository (1000)")
    parser.add_argument("--quick", action="store_true", help="one round, without the tenfold repository")
    parser.add_argument("--emission", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rules", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.emission:
        print(json.dumps(emit_all(options.emission)))
        return 0
    if options.rules:
        print(json.dumps(judge_all(options.rules)))
        return 0
    with tempfile.TemporaryDirectory(prefix="stormc-bench-") as directory:
        rounds, large = (1, 0) if options.quick else (3, 10 * options.apps)
        return 0 if report(measure(Path(directory), options.apps, rounds, large)) else 1


if __name__ == "__main__":
    sys.exit(main())
