"""Speed as ratios, measured in one run on the machine at hand: python -m tests.bench [--apps 1000] [--quick].

Two baselines make the figures comparable between machines: PyYAML's C emitter writing the same manifests of the same
apps to as many files, and the start of a bare interpreter. Everything else is the real command as a process. Figures
are CPU time, which other work on the machine changes little; several processes against one are wall-clock time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stormc.tree.memory import memory_directory
from tests import bench_jsonnet
from tests.bench_apps import OVERRIDDEN, PLAIN, generate, spec_path, spec_text

ROOT = Path(__file__).parent.parent
COLD_MOST = 0.9
PARALLEL_MOST = 0.6
UNCHANGED_MOST = 0.05
ONE_CHANGED_MOST = 3.0
GROWTH_MOST = 1.05
"""10,000 apps at most 10.5 times 1,000 apps: per tenfold size the cost per app may grow by a twentieth."""
RULES_MOST = 0.3
VALIDATE_MOST = 6.0
OVERRIDE_MOST = 8.0
HOOK_MOST = 7.0
HELP_MILLISECONDS_MOST = 45.0
MEGABYTES_MOST = 90.0
LARGE_MEGABYTES_MOST = 300.0


class Run(NamedTuple):
    """One finished process and its children: CPU seconds, wall-clock seconds and peak resident memory."""

    cpu: float
    wall: float
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


ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
STORMC = [os.path.join(os.path.dirname(sys.executable), "stormc")]
BARE = [sys.executable, "-I", "-c", "pass"]


def run(command: list[str], cwd: Path, environment: Mapping[str, str] = ENVIRONMENT) -> Run:
    """Runs a process to its end; fails loudly unless it succeeds."""
    with tempfile.TemporaryFile() as errors:  # a pipe that nobody reads would stop a process with many warnings
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}: {errors.read().decode()}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def render(root: Path, jobs: int = 1, cold: bool = False) -> Run:
    """A full render; a cold one starts without cache and output.

    An earlier tree is put aside and not deleted: for minutes ext4 passes over the inodes of deleted files one by one
    (fs/ext4/ialloc.c, recently_deleted), which was three fifths of the kernel's time in a render soon after.
    """
    if cold:
        if (root / "rendered").exists():
            (root / "rendered").rename(tempfile.mkdtemp(dir=root.parent))
        shutil.rmtree(memory_directory(root / "rendered", root / "specs") or root / "none", ignore_errors=True)
    return run([*STORMC, "render", "-j", str(jobs)], root)


def changed(root: Path, number: int, turn: int) -> Run:
    """A full render after one spec got another port."""
    file = root / "specs" / spec_path(number)
    file.write_text(re.sub("port: .*", f"port: {9000 + turn}", spec_text(number)))
    return render(root)


def part(what: str, root: Path) -> Any:
    """What a part of this module that runs in a process of its own (PARTS) says."""
    command = [sys.executable, "-m", "tests.bench", "--part", what, str(root)]
    return json.loads(subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE).stdout)


def emission(root: Path) -> tuple[float, int]:
    """CPU seconds that PyYAML's C emitter takes for the manifests of the repository's apps, and how many files.

    The manifests are prepared before the clock starts.
    """
    import gc

    import yaml

    gc.disable()
    manifests = list(prepared(root))
    target = tempfile.mkdtemp(dir=root.parent)  # not deleted before the end: `render`
    start = time.process_time()
    for path, manifest in manifests:
        file = f"{target}/{path}"
        if path.endswith("kustomization.yaml"):
            os.makedirs(os.path.dirname(file))
        with open(file, "w", encoding="utf-8") as stream:
            yaml.dump(manifest, stream, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    return time.process_time() - start, len(manifests)


def prepared(root: Path) -> Iterator[tuple[str, Any]]:
    """Every manifest of the rendered apps, read back with PyYAML; an app's kustomization comes first."""
    import yaml

    rendered = root / "rendered"
    for file in sorted(rendered.rglob("kustomization.yaml")):
        if "_shared" not in file.parts:
            for other in (file, *sorted(set(file.parent.iterdir()) - {file})):
                if other.is_file():
                    yield str(other.relative_to(rendered)), yaml.load(other.read_bytes(), Loader=yaml.CSafeLoader)


SHARE_NAMED = 0.1
"""A rule that takes a larger share of all rules' time is named."""


CLOCKED = 20_000
"""Runs of an empty rule by which it is known what the clock costs: two looks at it take as long as a small rule."""


def rules(root: Path) -> Iterator[Row]:
    """CPU seconds of all rules over those of passes and emission, in one process of its own; heavy rules by name."""
    apps, rendering, shares = part("rules", root)
    total = sum(shares.values())
    yield Row(f"all rules over {apps} apps", f"{total:.3f} s", total / rendering, "× passes + emit", RULES_MOST)
    for rule, seconds in shares.items():
        if seconds > SHARE_NAMED * total:
            yield Row(f"  of which {rule}", f"{seconds:.3f} s", 100 * seconds / total, "% of all rules")


def judge_all(root: Path) -> tuple[int, float, dict[str, float]]:
    """What `rules` runs: number of apps, CPU seconds of passes and emission, CPU seconds of each rule."""
    import gc
    from unittest import mock

    from stormc.compile import stages
    from stormc.load.sources import read_sources
    from stormc.passes import runner
    from stormc.payload.read import read_payload
    from stormc.repository.findings import check_repository
    from stormc.repository.repository import open_repository
    from stormc.rules.rule import Rule
    from stormc.tree.layout import layout
    from tests.rules.judging import changed_rules

    gc.disable()  # as a render does
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
        mock.patch.object(stages, "layout", timed("emit", layout)),
    ):
        compiled = [repository.compile(source, read_payload()).result() for source in repository.apps]
        list(check_repository(repository, [made.summary for made in compiled if made.summary], "2026-01-01"))
    clock = timed("clock", lambda: (), drain=True)
    for _ in range(CLOCKED):
        clock()
    clock_costs = spent.pop("clock") / CLOCKED * len(repository.apps)
    passes_and_emission = spent.pop("passes") + spent.pop("emit")
    return len(repository.apps), passes_and_emission, {rule: s - clock_costs for rule, s in spent.items()}


PARTS: Mapping[str, Callable[[Path], Any]] = {"emission": emission, "rules": judge_all}


def jsonnet(one: Path, apps: int, ours: tuple[float, float]) -> Iterator[Row]:
    """The CPU seconds of jsonnet and a validator for one app and for many, in those of stormc's renders of as many."""
    if not bench_jsonnet.is_installed():
        return
    (app,) = (path.parent for path in (one / "rendered").rglob("stormservice-*.yaml"))
    for count, seconds in zip((1, apps), ours, strict=True):
        theirs = run([sys.executable, "-m", "tests.bench_jsonnet", str(app), str(count)], ROOT).cpu
        what = f"jsonnet and jsonschema-rs, {count} app{'s' if count > 1 else ''}"
        yield Row(what, f"{theirs:.3f} s", theirs / seconds, "× stormc render")


def measure(directory: Path, apps: int, rounds: int, large: int) -> Iterator[Row]:
    """All rows of the report, in the order in which they were measured."""
    one, many = generate(directory / "one", [PLAIN]), generate(directory / "many", range(apps))
    render(many, cold=True)
    render(one, cold=True)
    emitted, cold, parallel, unchanged, single, alone = [], [], [], [], [], []
    files = 0
    for turn in range(rounds):
        seconds, files = part("emission", many)
        emitted.append(seconds)
        parallel.append(render(many, jobs=2, cold=True))
        cold.append(render(many, cold=True))
        unchanged += [render(many).cpu for _ in range(3)]
        single += [changed(many, apps // 2 + PLAIN, 2 * turn + odd).cpu for odd in (0, 1)]
        alone += [changed(one, PLAIN, 2 * turn + odd).cpu for odd in (0, 1)]
    baseline = statistics.median(emitted)
    yield Row(f"A: PyYAML C emitter, {files} files of {apps} apps", f"{baseline:.3f} s")
    compiling = statistics.median(each.cpu for each in cold)
    yield Row("cold render, -j 1", f"{compiling:.3f} s", compiling / baseline, "× A", COLD_MOST)
    walls = [statistics.median(each.wall for each in runs) for runs in (parallel, cold)]
    yield Row("the same, -j 2, wall-clock", f"{walls[0]:.3f} s", walls[0] / walls[1], "× -j 1", PARALLEL_MOST)
    value = statistics.median(unchanged)
    yield Row("unchanged render", f"{value:.3f} s", value / baseline, "× A", UNCHANGED_MOST)
    value, small = statistics.median(single), statistics.median(alone)
    yield Row("one changed spec, full render", f"{value:.3f} s", value / small, "× one-app render", ONE_CHANGED_MOST)
    yield Row("one-app repository, one changed spec", f"{small:.3f} s")
    memory = max(each.megabytes for each in cold)
    yield Row(f"peak memory, {apps} apps, -j 1", f"{memory:.0f} MB", memory, "MB", MEGABYTES_MOST)
    size = sum(file.stat().st_size for file in (many / "rendered").rglob("*") if file.is_file())
    yield Row(f"size of rendered/, {apps} apps", f"{size / 1e6:.1f} MB")
    yield from rules(many)
    yield from jsonnet(one, apps, (small, compiling))
    yield from starts(one, many, apps, 5 * rounds)
    if large:
        huge = generate(directory / "huge", range(large))
        full = render(huge, cold=True)
        again = render(many, cold=True).cpu
        ratio = full.cpu / statistics.median([compiling, again])
        yield Row(f"cold render of {large} apps, -j 1", f"{full.cpu:.2f} s", ratio, f"× {apps} apps",
                  GROWTH_MOST * large / apps)  # fmt: skip
        yield Row(f"peak memory, {large} apps, -j 1", f"{full.megabytes:.0f} MB", full.megabytes, "MB",
                  LARGE_MEGABYTES_MOST)  # fmt: skip


class Start(NamedTuple):
    """A command that people wait for at a prompt; the target is in bare starts of the interpreter."""

    what: str
    command: list[str]
    root: Path
    most: float | None
    environment: Mapping[str, str] = ENVIRONMENT


def starts(one: Path, many: Path, apps: int, rounds: int) -> Iterator[Row]:
    """The rows of what people wait for; interleaved, so that a busy moment touches all of them."""
    plain, spec = f"specs/{spec_path(PLAIN)}", f"specs/{spec_path(apps // 2 + PLAIN)}"
    overridden = f"specs/{spec_path(apps // (2 * OVERRIDDEN) * OVERRIDDEN)}"
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):  # the hook asks what the next commit holds
        subprocess.run(command, cwd=many, check=True)
    fresh = one.parent / "fresh"
    shutil.copytree(ROOT / "compiler", fresh, ignore=shutil.ignore_patterns("__pycache__"))
    uncompiled = {**ENVIRONMENT, "PYTHONPATH": f"{fresh}:{ROOT / 'proxy'}", "PYTHONDONTWRITEBYTECODE": "1"}
    hook = [*STORMC, "render", "--check", "--staged", spec]
    commands = [
        Start("--help", [*STORMC, "--help"], one, None),
        Start("validate one spec, one-app repository", [*STORMC, "validate", plain], one, VALIDATE_MOST),
        Start(f"validate one spec of {apps} apps", [*STORMC, "validate", spec], many, VALIDATE_MOST),
        Start(f"validate one with an override, {apps} apps", [*STORMC, "validate", overridden], many, OVERRIDE_MOST),
        Start(f"hook: render --check --staged, 1 of {apps} apps", hook, many, HOOK_MOST),
        Start("  where nothing is remembered", hook, many, None, {**ENVIRONMENT, "XDG_CACHE_HOME": "/dev/null"}),
        Start("validate one spec, no compiled files", [sys.executable, "-m", "stormc", "validate", plain], one, None,
              uncompiled),
    ]  # fmt: skip
    seconds: dict[str, list[float]] = {"bare": []}
    for _ in range(rounds):
        seconds["bare"].append(run(BARE, one).cpu)
        for start in commands:
            seconds.setdefault(start.what, []).append(run(start.command, start.root, start.environment).cpu)
    base = statistics.median(seconds["bare"])
    yield Row("B: bare interpreter start", f"{base * 1000:.1f} ms")
    for start in commands:
        value = statistics.median(seconds[start.what])
        if start.what == "--help":
            over = (value - base) * 1000
            yield Row("--help", f"{value * 1000:.0f} ms", over, "ms over B", HELP_MILLISECONDS_MOST)
        else:
            yield Row(start.what, f"{value * 1000:.0f} ms", value / base, "× B", start.most)


def report(rows: Iterator[Row]) -> bool:
    """Prints each row as soon as it is known; whether all targets were reached."""
    print(f"{'':48} {'measured':>10}  {'figure':>26}  {'target':>8}")
    reached = True
    for row in rows:
        figure = "" if row.figure is None else f"{row.figure:.2f} {row.unit}"
        target = "" if row.most is None else f"≤ {row.most:g}"
        print(f"{row.what:48} {row.measured:>10}  {figure:>26}  {target:>8}  {row.verdict}".rstrip(), flush=True)
        reached = reached and row.verdict != "MISSED"
    return reached


def main() -> int:
    """Measures and reports; 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--apps", type=int, default=1000, help="size of the repository (1000)")
    parser.add_argument("--quick", action="store_true", help="one round, without the tenfold repository")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        what, root = options.part
        print(json.dumps(PARTS[what](Path(root))))
        return 0
    with tempfile.TemporaryDirectory(prefix="stormc-bench-") as directory:
        rounds, large = (1, 0) if options.quick else (3, 10 * options.apps)
        return 0 if report(measure(Path(directory), options.apps, rounds, large)) else 1


if __name__ == "__main__":
    sys.exit(main())
