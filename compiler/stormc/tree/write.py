"""Bringing a directory to a planned state: whole files or none, and nothing removed that is not ours.

Files are staged beside the output directory (tree/staging.py) and moved in by rename, so a render that is killed at any
instant leaves old or new files, never half ones.
"""

from __future__ import annotations

import os
from pathlib import Path

from stormc.tree.plan import Plan
from stormc.tree.staging import clock


def carry_out(out: Path, plan: Plan, staging: Path) -> int:
    """Writes and removes what the plan says; the caller holds the lock that comes with the staging directory.

    All new files are staged first and then moved, so that the instant in which old and new files mix is short.
    Returns the `clock` of that instant.
    """
    staged = []
    for number, (path, content) in enumerate(plan.writes.items()):
        temporary = f"{staging}/{number}"
        with open(temporary, "xb") as file:
            file.write(content)
        staged.append((temporary, f"{out}/{path}"))
    moment = clock(staging)
    directories = {os.path.dirname(target) for _, target in staged}
    for directory in sorted(directories):
        os.makedirs(directory, exist_ok=True)
    for temporary, target in staged:
        os.replace(temporary, target)
    for path in plan.removals:
        if path.endswith("/"):
            _remove_empty(out, path.rstrip("/"))
        else:
            (out / path).unlink(missing_ok=True)
            _remove_empty(out, os.path.dirname(path))
    return moment


def _remove_empty(out: Path, path: str) -> None:
    """Removes a directory and its parents as long as they are empty, never `out` itself."""
    while path:
        try:
            os.rmdir(out / path)
        except OSError:
            return
        path = os.path.dirname(path)
