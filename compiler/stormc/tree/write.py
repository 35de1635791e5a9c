"""Bringing a directory to a planned state: whole files or none, and nothing removed that is not ours.

Files are staged beside the output directory (tree/staging.py) and moved in by rename, so a render that is killed at any
instant leaves old or new files, never half ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stormc.tree.plan import Plan
from stormc.tree.read import on_disk
from stormc.tree.staging import clock, stage
from stormc.tree.version import FILE, is_version_file, version_text


def carry_out(out: Path, plan: Plan, staging: Path) -> int:
    """Writes and removes what the plan says; the caller holds the lock that comes with the staging directory.

    All new files are staged first and then moved, so that the instant in which old and new files mix is short. A
    directory that is not there yet is moved as one. Returns the `clock` of that instant.
    """
    places = plan.writes.stage(staging)
    moment = clock(staging)
    for directory, place in sorted(places.items()):
        _move(place, f"{out}/{directory}")
    for path in plan.removals:
        if path.endswith("/"):
            _remove_empty(out, path.rstrip("/"))
        else:
            (out / path).unlink(missing_ok=True)
            _remove_empty(out, os.path.dirname(path))
    return moment


def _move(place: str, target: str) -> None:
    """Moves the files of a staged directory to where they belong."""
    if not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with suppress(OSError):
            os.rename(place, target)
            return
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(place)):
        os.replace(f"{place}/{name}", f"{target}/{name}")


def write_versions(out: Path, staging: Path, versions: Mapping[str, str]) -> None:
    """Writes the version file where it differs, and removes it where there are no versions."""
    text = version_text(versions)
    if not versions and is_version_file(out, FILE):
        (out / FILE).unlink()
    if not versions or on_disk(out, FILE) == text:
        return
    number = max(map(int, os.listdir(staging)), default=0) + 1
    place = next(iter(stage(staging, number, {"versions.yaml": text}).values()))
    os.replace(f"{place}/versions.yaml", out / FILE)


def _remove_empty(out: Path, path: str) -> None:
    """Removes a directory and its parents as long as they are empty, never `out` itself."""
    while path:
        try:
            os.rmdir(out / path)
        except OSError:
            return
        path = os.path.dirname(path)
