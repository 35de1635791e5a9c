"""What `make fuzz` runs: a target per verb that reads files of a branch, with the files it mutates."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.hostile.branch import git, stormc, write
from tests.policy.matrix import APP, HOSTILE, POLICY
from tests.policy.variants import VARIANTS

ROOT = Path(__file__).parents[2]
SEEDS = Path(__file__).parent / "seeds"
"""Inputs that once went wrong; each is run first, and mutated further."""
RENDERED = "rendered/b/b/stormservice-b.yaml"
FORMATS = ("text", "json", "github", "gitlab", "sarif")


class Target(NamedTuple):
    """One way into the program: the file that is mutated, its text before, and the words of the command."""

    name: str
    file: str
    text: Callable[[random.Random], str]
    words: Callable[[random.Random], list[str]]
    writes: tuple[str, ...] = ()
    """What the command may create or change besides."""


@cache
def _texts(*patterns: str) -> tuple[str, ...]:
    """The contents of some files of this repository."""
    return tuple(path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def specs(pick: random.Random) -> str:
    """An app: often a hostile one, or one of the examples."""
    if pick.random() < 0.5:
        return pick.choice(_texts("specs/*/*.yaml", "tests/hostile/full.yaml"))
    hostile = [fields for fields, _ in (HOSTILE | VARIANTS).values()]
    fields = pick.choice([*hostile, *[""] * len(hostile)])
    return f"{APP}{fields}\n"


def platforms(pick: random.Random) -> str:
    """A platform file: a policy, an inventory, wiring."""
    return pick.choice((POLICY, PLATFORM, *_texts("specs/platform.yaml")))


def profiles(pick: random.Random) -> str:
    """A hardware profile."""
    return pick.choice(_texts("compiler/stormc/facts/hardware/*.yaml"))


def storm_services(pick: random.Random) -> str:
    """A StormService: rendered from an example, or written by hand."""
    return pick.choice(_texts("rendered/*/*/stormservice-*.yaml", "tests/migrate/cases/[!d]*/input.yaml"))


def configs(pick: random.Random) -> str:
    """A config of k8s-deploy-tool."""
    return pick.choice(_texts("tests/migrate/cases/deploy-tool*/input.yaml"))


def rendered(pick: random.Random) -> str:
    """A rendered StormService."""
    return pick.choice((*_texts("rendered/*/*/stormservice-*.yaml"), *[_own()] * 4))


@cache
def _own() -> str:
    return Path(RENDERED).read_text()


TUNABLE = APP.replace("name: app", "name: c").replace("prefill: {", "prefill: {replicas: 2, engineArgs: {a: 1}, ")
PLATFORM = """\
apiVersion: stormc.dev/v1
kind: Platform
namespace: team-a
inventory: {atlas-800i-a2: {nodes: 8}}
gitops:
  argocd: {repoURL: "https://git.example.com/x.git", project: inference, destinations: [team-a]}
  flux: {repoURL: "https://git.example.com/x.git", serviceAccount: deployer}
defaults: {engine: {version: "0.23"}, prefill: {engineArgs: {max-model-len: 32768}}}
"""


def _format(pick: random.Random, *formats: str) -> list[str]:
    return ["--format", pick.choice(formats or FORMATS)]


def _fault(pick: random.Random) -> list[str]:
    return ["--fail", pick.choice(("chip", "process", "node", "router"))] if pick.random() < 0.5 else []


SPEC, PLATFORM_FILE, OUT = "specs/a/app.yaml", "specs/a/platform.yaml", ("rendered",)
TARGETS = (
    Target("validate", SPEC, specs, lambda pick: ["validate", SPEC, *_format(pick)]),
    Target("render", SPEC, specs, lambda pick: ["render", SPEC, *_format(pick)], OUT),
    Target("fmt", SPEC, specs, lambda pick: ["fmt", SPEC, *_format(pick)], (SPEC,)),
    Target("policy", PLATFORM_FILE, platforms, lambda pick: ["policy", "show", "b"]),
    Target("platform", PLATFORM_FILE, platforms, lambda pick: ["validate", *_format(pick)]),
    Target("wiring", "specs/platform.yaml", platforms, lambda pick: ["render", *_format(pick)], OUT),
    Target("profile", "specs/profiles/own.yaml", profiles, lambda pick: ["validate", *_format(pick)]),
    Target("import", "in.yaml", storm_services, lambda pick: ["import", "in.yaml", "--hardware", "atlas-800i-a2"]),
    Target("import-out", "in.yaml", storm_services,
           lambda pick: ["import", "in.yaml", "--out", "specs/made", "--model-path", "/mnt/m", "--force"],
           ("specs/made",)),
    Target("import-config", "in.yaml", configs, lambda pick: ["import", "in.yaml"]),
    Target("compat", "in.yaml", configs, lambda pick: ["compat", "deploy", "--dry-run", "-c", "in.yaml"]),
    Target("explain", SPEC, specs, lambda pick: ["explain", SPEC, *_format(pick, "text", "json", "html")]),
    Target("explain-value", SPEC, specs, lambda pick: ["explain", SPEC, pick.choice(("prefill.replicas", "x"))]),
    Target("explain-line", RENDERED, rendered,
           lambda pick: ["explain", f"{RENDERED}:{pick.randrange(1, 120)}"]),
    Target("check", RENDERED, rendered, lambda pick: ["render", "--check", *_format(pick)]),
    Target("deploy", RENDERED, rendered, lambda pick: ["deploy", "b/b", "--dry-run", "client"]),
    Target("capacity", SPEC, specs, lambda pick: ["capacity", *_format(pick, "text", "json", "html")]),
    Target("what-if", SPEC, specs, lambda pick: ["what-if", SPEC, *_fault(pick), *_format(pick, "text", "json")]),
    Target("promote", SPEC, lambda pick: TUNABLE,
           lambda pick: ["promote", "c", "--from", "specs/a", "--to", "specs/c"], ("specs/c/c.yaml",)),
    Target("promote-onto", "specs/c/c.yaml", lambda pick: TUNABLE.replace("a: 1", "a: 2"),
           lambda pick: ["promote", "c", "--from", "specs/d", "--to", "specs/c"], ("specs/c/c.yaml",)),
    Target("diff", SPEC, specs, lambda pick: ["diff", "--base", "HEAD", *_format(pick, "text", "markdown", "json")]),
)  # fmt: skip


def prepare(root: Path) -> None:
    """A committed repository with an app in every directory that the targets name."""
    write(root, SPEC, APP)
    write(root, "specs/b/b.yaml", APP.replace("name: app", "name: b").replace("name: m,", "name: b,"))
    write(root, "specs/c/c.yaml", TUNABLE.replace("team-a", "team-c"))
    write(root, "specs/d/c.yaml", TUNABLE.replace("team-a", "team-d"))
    git(root, "init", "-q", "-b", "main")
    done = stormc(root, "render")
    assert done.code == 0, done
    git(root, "add", "-A")
    git(root, "commit", "-qm", "apps")


def files(root: Path) -> dict[str, bytes]:
    """What lies in the repository, Git's own files left out."""
    return {name: (root / name).read_bytes() for name in _names(root)}


def _names(root: Path) -> list[str]:
    names = []
    for directory, below, here in os.walk(root):
        if directory == str(root):
            below.remove(".git")
        names += [os.path.relpath(os.path.join(directory, name), root) for name in here]
    return names


def restore(root: Path, honest: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Brings every file that changed back to what it was."""
    for name in after.keys() - honest.keys():
        (root / name).unlink()
    for name, content in honest.items():
        if after.get(name) != content:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    shutil.rmtree(root / "specs/made", ignore_errors=True)
