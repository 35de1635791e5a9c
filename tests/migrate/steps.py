"""The steps of docs/migrate.md, run as people run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


TEXT = (ROOT / "docs/migrate.md").read_text(encoding="utf-8")


STEPS = re.split(r"^## (?=\d)", TEXT, flags=re.M)[1:]


SPEC = Path("specs/a3/llm-service.yaml")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


CONFIG, IMPORTED, WITHOUT_SCRIPT, PLATFORM = blocks(TEXT, "yaml")


def repository(work: Path) -> None:
    """An empty repository with the config of the page."""
    (work / "config.yaml").write_text(CONFIG, encoding="utf-8")
    run("git init -q", work)


def run(command: str, work: Path, **more: str) -> str:
    """What a command line prints; it must succeed."""
    who = {f"GIT_{role}_{field}": "test@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **who, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "NO_COLOR": "1", **more}
    done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def edit(number: int, work: Path) -> None:
    """What a step has people write by hand before its commands."""
    if number == 5:
        (work / SPEC).write_text(WITHOUT_SCRIPT, encoding="utf-8")
    elif number == 6:
        (work / "specs/platform.yaml").write_text(PLATFORM, encoding="utf-8")


def commands(step: str) -> list[str]:
    """The command lines of a step."""
    return [line for block in blocks(step, "sh") for line in block.splitlines()]
