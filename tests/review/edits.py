"""Edits of a repository of three apps, as real Git histories; `stormc diff` of each is a report in reports/."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from stormc.actions.comparing import diff
from stormc.review import diff_report
from stormc.review.diff import Kind
from stormc.review.effect import What
from tests.samples import spec_text

REPORTS = Path(__file__).parent / "reports"
SHARED = "decode: {podGroupSize: 1, dataParallel: 16}"


ODD = """\
apiVersion: stormc.dev/v1
kind: App
name: odd
model: {name: big, path: /models/big, moe: true}
image: engine:v0.18.0
hardware: atlas-800t-a2
engine: {args: {seed: 7}, env: {HCCL_BUFFSIZE: 2048}}
prefill: {dataParallel: 4, tensorParallel: 2, replicas: 3}
decode: {dataParallel: 8, tensorParallel: 1, engineArgs: {max-num-seqs: 3}}
"""


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(root: Path, path: str, overlay: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(spec_text(overlay))


def commit(root: Path, message: str = "more") -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)


def three_apps(root: Path) -> None:
    """A repository whose main branch has three apps."""
    git(root, "init", "-q", "-b", "main")
    for name, overlay in (("own", ""), ("shared", SHARED), ("other", "")):
        write(root, f"specs/{name}.yaml", f"name: {name}\nmodel: {{name: {name}}}\n{overlay}")
    commit(root)


def edit(path: str, overlay: str) -> Callable[[Path], object]:
    name = Path(path).stem
    return lambda root: write(root, f"specs/{path}", f"name: {name}\nmodel: {{name: {name}}}\n{overlay}")


def platform(text: str) -> Callable[[Path], object]:
    document = f"apiVersion: stormc.dev/v1\nkind: Platform\n{text}\n"
    return lambda root: (root / "specs/platform.yaml").write_text(document)


def several(*edits: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        for one in edits:
            one(root)

    return change


def move(before: str, after: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        (root / "specs" / after).parent.mkdir(parents=True, exist_ok=True)
        (root / "specs" / before).rename(root / "specs" / after)

    return change


CASES: dict[str, tuple[Callable[[Path], object], list[tuple[str, Kind, What]]]] = {
    "nothing": (lambda root: None, []),
    "a comment": (
        lambda root: (root / "specs/own.yaml").write_text((root / "specs/own.yaml").read_text() + "# x\n") , [],
    ),
    "replicas of own PodGroups": (
        edit("own.yaml", "decode: {replicas: 2}"), [("inference/own", Kind.CHANGED, What.SCALED)],
    ),
    "replicas in a shared PodGroup": (
        edit("shared.yaml", "decode: {podGroupSize: 1, dataParallel: 16, replicas: 2}"),
        [("inference/shared", Kind.CHANGED, What.RECREATED)],
    ),
    "an engine flag": (
        edit("own.yaml", "decode: {engineArgs: {max-num-seqs: 64}}"), [("inference/own", Kind.CHANGED, What.RECREATED)],
    ),
    "a fault policy": (edit("own.yaml", "faults: {retries: 3}"), [("inference/own", Kind.CHANGED, What.RECREATED)]),
    "a label": (edit("own.yaml", "prefill: {labels: {a: b}}"), [("inference/own", Kind.CHANGED, What.RECREATED)]),
    "a setting of the proxy": (
        edit("own.yaml", "proxy: {maxFailures: 5}"), [("inference/own", Kind.CHANGED, What.RELOADED)],
    ),
    "the routing image": (
        edit("own.yaml", "routing: {image: 'x:1'}"), [("inference/own", Kind.CHANGED, What.ROUTING_RESTARTS)],
    ),
    "podGroupSize 2 to 4": (
        edit("own.yaml", "decode: {podGroupSize: 4, dataParallel: 64}"),
        [("inference/own", Kind.CHANGED, What.RECREATED)],
    ),
    "podGroupSize 1 to 2": (
        edit("shared.yaml", "decode: {podGroupSize: 2}"), [("inference/shared", Kind.CHANGED, What.ORPHANED)],
    ),
    "another name": (
        edit("own.yaml", "name: own-v2"), [("inference/own-v2", Kind.RENAMED, What.DELETED)],
    ),
    "another name and another file": (
        several(move("own.yaml", "eu/newer.yaml"), edit("eu/newer.yaml", "namespace: eu")),
        [("eu/newer", Kind.RENAMED, What.DELETED)],
    ),
    "another app in the place of one": (
        several(
            lambda root: (root / "specs/own.yaml").unlink(), lambda root: (root / "specs/odd.yaml").write_text(ODD),
        ),
        [("inference/own", Kind.REMOVED, What.DELETED), ("default/odd", Kind.CREATED, What.CREATED)],
    ),
    "a platform file that does not parse": (
        lambda root: (root / "specs/platform.yaml").write_text("a: ["),
        [(f"inference/{name}", Kind.BROKEN, What.NOTHING) for name in ("other", "own", "shared")],
    ),
    "another directory": (move("own.yaml", "eu/own.yaml"), [("inference/own", Kind.MOVED, What.NOTHING)]),
    "a new app": (edit("fresh.yaml", ""), [("inference/fresh", Kind.CREATED, What.CREATED)]),
    "a removed app": (
        lambda root: (root / "specs/own.yaml").unlink(), [("inference/own", Kind.REMOVED, What.DELETED)],
    ),
    "a default of the platform": (
        platform("defaults: {faults: {retries: 3}}"),
        [(f"inference/{name}", Kind.CHANGED, What.RECREATED) for name in ("other", "own", "shared")],
    ),
    "a spec that does not parse": (
        lambda root: (root / "specs/own.yaml").write_text("a: [") ,
        [("inference/own", Kind.BROKEN, What.NOTHING)],
    ),
    "the gravest first": (
        several(edit("other.yaml", "proxy: {maxFailures: 5}"), edit("own.yaml", "image: 'x:1'")),
        [("inference/own", Kind.CHANGED, What.RECREATED), ("inference/other", Kind.CHANGED, What.RELOADED)],
    ),
}  # fmt: skip


def report_of(case: str, root: Path) -> str:
    """What `stormc diff` says of an edit of the three apps below a directory."""
    CASES[case][0](root)
    changes = diff(root / "specs")
    return "\n".join(diff_report.text(changes)).replace(f"{root}/", "") + "\n"


def refresh() -> None:
    """Writes every report anew."""
    REPORTS.mkdir(exist_ok=True)
    for old in REPORTS.iterdir():
        old.unlink()
    for case in CASES:
        with tempfile.TemporaryDirectory() as directory:
            three_apps(Path(directory))
            (REPORTS / f"{case}.txt").write_text(report_of(case, Path(directory)), encoding="utf-8")
