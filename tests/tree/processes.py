"""Renders as processes of their own, and the trees that they leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
Tree = dict[str, bytes]


def start(root: Path, *words: str, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stormc", "render", *words],
        cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT / "compiler")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
    )  # fmt: skip


class Done:
    """What a finished render said."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.out, self.err = child.communicate(timeout=600)
        self.code = child.returncode


def render(root: Path, *words: str, limit: Callable[[], None] | None = None) -> Done:
    return Done(start(root, *words, limit=limit))


def tree(root: Path) -> Tree:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
