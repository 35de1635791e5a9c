"""Finds the top of the repository, so that commands work in any directory below it, as Git's do."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def enter(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Goes to the nearest directory above that has `specs`, when the command needs one and none is named or here.

    Paths of the command line keep their meaning. Without such a directory nothing changes.
    """
    if getattr(options, "specs", None) != parser.get_default("specs") or Path("specs").is_dir():
        return
    named = [value for name in ("path", "spec") for value in getattr(options, name, None) or ()]
    root = above(named[0].absolute() if named and named[0].is_absolute() else Path.cwd())
    if root is None or root == Path.cwd():
        return
    for name, value in vars(options).items():
        if value != parser.get_default(name):
            setattr(options, name, _from(root, value))
    os.chdir(root)


def above(start: Path) -> Path | None:
    """The nearest directory from `start` upwards that holds `specs`; not beyond the top of a Git work tree."""
    for directory in (start, *start.parents):
        if (directory / "specs").is_dir():
            return directory
        if (directory / ".git").exists():
            return None
    return None


def _from(root: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_from(root, item) for item in value]
    return Path(os.path.relpath(value, root)) if isinstance(value, Path) else value
