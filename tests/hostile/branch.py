"""A repository as a hostile branch leaves it: committed, cloned, and only then looked at."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from stormc.__main__ import main
from tests.samples import spec_text

Tree = dict[str, bytes]


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


def stormc(directory: Path, *words: str, **environment: str) -> Done:
    """Runs a command in a directory; whatever it raises fails the test."""
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(directory)
    try:
        with mock.patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(list(words))
            except SystemExit as end:  # argparse
                code = int(end.code or 0)
    finally:
        os.chdir(before)
    return Done(code, out.getvalue(), err.getvalue())


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def tree(root: Path) -> Tree:
    """The contents of all regular files below a directory; links are not followed."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def honest(root: Path) -> Path:
    """A committed repository with two rendered apps."""
    for name in ("a", "b"):
        write(root, f"specs/{name}.yaml", spec_text(f"{{name: {name}, model: {{name: {name}}}}}"))
    git(root, "init", "-q", "-b", "main")
    assert stormc(root, "render").code == 0
    git(root, "add", "-A")
    git(root, "commit", "-qm", "two apps")
    return root


def checkout(root: Path, attack: Callable[[Path], object], target: Path) -> Path:
    """A fresh clone of the repository after a branch committed what `attack` did to it."""
    attack(root)
    git(root, "add", "-Af")
    git(root, "commit", "-qm", "add app")
    git(target.parent, "clone", "-q", str(root), str(target))
    return target
