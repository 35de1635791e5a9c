"""Bringing a directory to a planned state: whole files or none, and nothing removed that is not ours.

Files are staged beside the output directory (tree/staging.py) and moved in by rename, so a render that is killed at any
instant leaves old or new files, never half ones.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from stormc.digest import digest
from stormc.finding import START, Finding
from stormc.tree.files import Files
from stormc.tree.layout import is_generated
from stormc.tree.staging import clock

MAX_BYTES = 8 << 20
"""The size of a rendered file that is still read: the API server takes 1.5 MB in etcd (etcd's --max-request-bytes)."""


class Plan(NamedTuple):
    """What would change below an output directory; paths are relative to it."""

    writes: Mapping[str, bytes]
    unchanged: int
    removals: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be written or removed."""
        return not self.writes and not self.removals


def on_disk(out: Path, path: str, most: int = MAX_BYTES) -> bytes | None:
    """The content of a rendered file, None where there is no regular file of at most `most` bytes that can be read.

    A link is not followed, and neither a device nor a named pipe is waited for.
    """
    try:
        handle = os.open(f"{out}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            return None
        return _up_to(handle, status.st_size + 1)
    except OSError:
        return None
    finally:
        os.close(handle)


def _up_to(handle: int, most: int) -> bytes:
    """The bytes of an open file, no more than `most`: a file that grows meanwhile is not read for ever."""
    content = os.read(handle, most)
    while len(content) < most and (more := os.read(handle, most - len(content))):
        content += more
    return content


def _is_ours(out: Path, path: str) -> bool:
    """Whether a regular file begins with our header, whatever its size."""
    try:
        handle = os.open(f"{out}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(handle).st_mode) and is_generated(os.read(handle, 8192))
    except OSError:
        return False
    finally:
        os.close(handle)


def stamp(out: Path, paths: Iterable[str], before: float = math.inf) -> str:
    """What the file system says of files: their digest is other after any write to one of them, and costs no reading.

    Empty where a file is missing, or was written no earlier than `before` (in nanoseconds of `clock`): then it may
    have been written twice between two ticks of the file system's clock, which no stamp shows. Git trusts its index
    in the same way (Documentation/technical/racy-git).
    """
    base = os.fspath(out)
    seen = []
    for path in paths:
        try:
            found = os.stat(f"{base}/{path}", follow_symlinks=False)
        except OSError:
            return ""
        if found.st_mtime_ns >= before:
            return ""
        seen.append(f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_size} {found.st_ino} {found.st_mode}")
    return digest("\n".join(seen).encode())


def listing(out: Path, below: str = "") -> Iterator[str]:
    """The paths of all files below the output directory, directories that hold none included with a slash."""
    try:
        entries = sorted(os.scandir(out / below), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            empty = True
            for inner in listing(out, path):
                empty = False
                yield inner
            if empty:
                yield f"{path}/"
        else:
            yield path


def make_plan(out: Path, wanted: Files, same: Collection[str], scope: Collection[str] | None = None) -> Plan:
    """How to get from what is on disk to `wanted` plus `same`, the files already known to be right.

    Without `scope` everything else below `out` is stale; with it only what lies in these directories themselves:
    another app may render below them. Stale files that carry our header are removed, others are findings and stay.
    """
    writes = wanted.only([path for path in sorted(wanted) if on_disk(out, path) != wanted[path]])
    removals: list[str] = []
    findings: list[Finding] = []
    known = {*wanted, *same}
    for path in sorted(_present(out, scope)):
        if path in known:
            continue
        if path.endswith("/") or _is_ours(out, path):
            removals.append(path)
        else:
            findings.append(
                Finding("E401", f"{out}/{path}", START, "no spec produces this file and stormc did not write it",
                        "move it out of the rendered directory")
            )  # fmt: skip
    for path in writes:
        findings += _obstacles(out, path)
    unchanged = len(wanted) + len(same) - len(writes)
    return Plan(writes, unchanged, tuple(removals), tuple(findings))


def _present(out: Path, scope: Collection[str] | None) -> Iterator[str]:
    if scope is None:
        yield from listing(out)
    else:
        for directory in scope:
            start = len(directory) + 1
            yield from (path for path in listing(out, directory) if "/" not in path[start:])


def _obstacles(out: Path, path: str) -> Iterator[Finding]:
    """A foreign thing where a file must go: a link or directory of that name, or a file that is not ours."""
    target = out / path
    if target.is_symlink() or target.is_dir():
        yield Finding("E401", str(target), START, "stormc writes a file here, but this is a link or a directory",
                      "remove it")  # fmt: skip
    elif target.exists() and not _is_ours(out, path):
        yield Finding("E401", str(target), START, "stormc writes this file, but another one without its header is here",
                      "move it away")  # fmt: skip
    for parent in target.parents:
        if parent == out:
            break
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            yield Finding("E401", str(parent), START, "stormc needs a directory here", "remove it")


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
