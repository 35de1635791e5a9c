"""The place where new files are written before they are moved into the output directory, and the lock around it.

The branch may have put anything anywhere (links above all), so nothing here opens a path that existed before: the
lock is held on the directory beside the output itself, and the staging directory is always a new one.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stormc.failure import Failure

PREFIX = ".stormc-staging-"
"""How the names of staging directories start; the rest is random."""

_COARSE = 20_000_000
"""Nanoseconds: two ticks of a kernel that counts 100 of them in a second."""


def refuse_link(out: Path) -> None:
    """Raises Failure where the output directory is a symbolic link: whoever commits one chooses what is written to."""
    if out.is_symlink():
        raise Failure(f"{out} is a symbolic link; remove it, or give the directory that it stands for with --out")


@contextmanager
def staged_beside(out: Path) -> Iterator[Path]:
    """An empty directory beside `out`, on its file system, held under a lock that waits for other renders to end.

    It is gone afterwards. What killed renders left behind is removed too. Raises Failure for an `out` that is a link.
    """
    refuse_link(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    parent = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems have no locks on directories
            fcntl.flock(parent, fcntl.LOCK_EX)
        for name in os.listdir(parent):
            if name.startswith(PREFIX):
                _clear(out.parent / name)
        staging = out.parent / f"{PREFIX}{os.urandom(8).hex()}"
        staging.mkdir(0o700)  # fails where anything is
        try:
            yield staging
        finally:
            _clear(staging)
    finally:
        os.close(parent)


def clock(staging: Path) -> int:
    """The time of the file system, less what its clock may be coarse by, in nanoseconds."""
    os.utime(staging)
    return staging.stat().st_mtime_ns - _COARSE


def _clear(staging: Path) -> None:
    """Removes a staging directory with the numbered files in it; anything else is not ours and stays."""
    try:
        directory = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for name in os.listdir(directory):
            with suppress(OSError):
                if name.isdecimal() and stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)
    with suppress(OSError):
        staging.rmdir()
