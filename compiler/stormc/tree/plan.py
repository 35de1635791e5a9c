"""What must change below an output directory, and what stands in the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from stormc.finding import START, Finding
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.checks import FOREIGN_FILE
from stormc.tree.read import is_ours, listing
from stormc.tree.staging import NewFiles
from stormc.tree.version import is_version_file


class Plan(NamedTuple):
    """What would change below an output directory; paths are relative to it."""

    writes: NewFiles
    unchanged: int
    removals: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that would be written or removed."""
        return (*self.writes, *self.removals)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be written or removed."""
        return not self.writes and not self.removals


def make_plan(out: Path, writes: NewFiles, up_to_date: Collection[str], scope: Collection[str] | None = None) -> Plan:
    """The changes that leave `out` with the files of `writes`, and with those that are `up_to_date` already.

    Any other file is stale; with `scope` only files directly in these directories are, as other apps may render below
    them. A stale file with our header is to be removed; one without is a finding and stays.
    """
    removals: list[str] = []
    findings: list[Finding] = []
    for path in sorted(_present(out, scope)):
        if path in up_to_date or path in writes or is_version_file(out, path):
            continue
        if path.endswith("/") or is_ours(out, path):
            removals.append(path)
        else:
            findings.append(
                Finding(
                    FOREIGN_FILE,
                    f"{out}/{path}",
                    START,
                    phrase("no spec produces this file and stormc did not write it"),
                    phrase("move it out of the rendered directory"),
                )
            )
    findings += _obstacles(out, writes)
    return Plan(writes, len(up_to_date), tuple(removals), tuple(findings))


def _present(out: Path, scope: Collection[str] | None) -> Iterator[str]:
    if scope is None:
        yield from listing(out)
    else:
        for directory in scope:
            start = len(directory) + 1
            yield from (path for path in listing(out, directory) if "/" not in path[start:])


def _obstacles(out: Path, paths: Iterable[str]) -> Iterator[Finding]:
    """Foreign things where files must go: a link or directory of that name, or a file that is not ours.

    Each directory is looked at once, and no file in one that is not there yet.
    """
    states: dict[str, int | None] = {}
    for above, inside in groupby(paths, os.path.dirname):
        for at in (*(at for at, letter in enumerate(above) if letter == "/"), len(above)):
            directory = above[:at]
            if directory and directory not in states:
                mode = states[directory] = _mode(out, directory)
                if mode is not None and not stat.S_ISDIR(mode):
                    message = phrase("stormc needs a directory here")
                    yield Finding(FOREIGN_FILE, str(out / directory), START, message, phrase("remove it"))
        if not above or states[above] is not None:
            for path in inside:
                yield from _obstacle(out, path)


def _obstacle(out: Path, path: str) -> Iterator[Finding]:
    mode = _mode(out, path)
    if mode is None:
        return
    if stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
        message = phrase("stormc writes a file here, but this is a link or a directory")
        yield Finding(FOREIGN_FILE, str(out / path), START, message, phrase("remove it"))
    elif stat.S_ISREG(mode) and not os.access(out / path, os.R_OK, effective_ids=True):
        yield Finding(FOREIGN_FILE, str(out / path), START, phrase("cannot be read"), phrase("make it readable"))
    elif not is_ours(out, path):
        message = phrase("stormc writes this file, but another one without its header is here")
        yield Finding(FOREIGN_FILE, str(out / path), START, message, phrase("move it away"))


def _mode(out: Path, path: str) -> int | None:
    """What stands at a path, links not followed; None for nothing."""
    try:
        return os.lstat(f"{out}/{path}").st_mode
    except OSError:
        return None
