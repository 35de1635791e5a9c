"""Reading what is on disk below an output directory. Links are not followed: a branch may have put them there."""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

from stormc.digest import digest
from stormc.tree.layout import is_generated

_NAME = attrgetter("name")
_NEVER = float("inf")
MAX_BYTES = 8 << 20
"""The size of a rendered file that is still read: the API server takes 1.5 MB in etcd (etcd's --max-request-bytes)."""


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


def is_ours(out: Path, path: str) -> bool:
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


def stamp(out: Path, paths: Iterable[str], before: float = _NEVER) -> str:
    """A digest of the times, sizes and inodes of files: it changes with any write to one of them. No file is read.

    Empty where a file is missing, or was written no earlier than `before` (in nanoseconds of `clock`): then it may
    have been written twice between two ticks of the file system's clock, which no stamp shows. Git trusts its index
    in the same way (Documentation/technical/racy-git).
    """
    base = os.fspath(out)
    states: list[int] = []
    for path in paths:
        try:
            status = os.stat(f"{base}/{path}", follow_symlinks=False)
        except OSError:
            return ""
        if status.st_mtime_ns >= before:
            return ""
        states += (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode)
    return digest(marshal.dumps(states, 2))  # in a fifth of the time that takes to write them as text


def listing(out: Path, below: str = "") -> list[str]:
    """The paths of all files below the output directory, directories that hold none included with a slash."""
    paths: list[str] = []
    _list(os.fspath(out), below, paths)
    return paths


def _list(out: str, below: str, paths: list[str]) -> None:
    """Adds the paths below a directory, if it is one."""
    try:
        entries = sorted(os.scandir(f"{out}/{below}"), key=_NAME)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if not entry.is_dir(follow_symlinks=False):
            paths.append(path)
            continue
        before = len(paths)
        _list(out, path, paths)
        if len(paths) == before:
            paths.append(f"{path}/")
