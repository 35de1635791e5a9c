"""The commands of docs/own-repository.md in their order, with real git and real pre-commit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/own-repository.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)", PAGE, re.M)


def environment(home: Path, installed: Path) -> dict[str, str]:
    """A shell in which `stormc` is the one of the directory `installed`, and Git knows nobody but a tester."""
    scripts = f"{installed}{os.pathsep}{Path(sys.executable).parent}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    who = {f"GIT_{role}_{what}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return clean | who | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "XDG_CACHE_HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"), "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip


def walk(where: Path, installed: Path) -> None:
    """Types the commands of the page into an empty directory, with the stormc of a directory, and tries its hooks."""
    assert len(COMMANDS) == 15
    home = where / "home"
    home.mkdir()

    def run(command: str, where: Path, home: Path) -> subprocess.CompletedProcess[str]:
        known = environment(home, installed)
        return subprocess.run(["bash", "-c", command], cwd=where, env=known, capture_output=True, text=True)

    outputs = {}
    for number, command in enumerate(COMMANDS):
        if command.startswith("cd "):
            where = where / shlex.split(command)[1]
            continue
        done = run(command, where, home)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        outputs[number] = done.stdout + done.stderr
        if command.startswith("git commit"):
            assert run("pre-commit install", where, home).returncode == 0
    effects = [text for number, text in outputs.items() if COMMANDS[number] == "stormc diff"]
    assert "prefill: 1 pod recreated" in effects[0] and "1 restarts NPU pods" in effects[0]
    for check in ("stormc validate", "stormc render --check", "stormc fmt --check"):
        done = run(check, where, home)
        assert done.returncode == 0, done.stdout + done.stderr
    forgotten = run("git add specs && git commit -qm production", where, home)
    assert forgotten.returncode == 1 and "stormc render" in forgotten.stderr + forgotten.stdout
    whole = run("git add -A && git commit -qm production", where, home)
    assert whole.returncode == 0, whole.stdout + whole.stderr
