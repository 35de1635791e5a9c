"""Removes the memories of rendered trees that no longer exist, so that the user's cache directory stays small.

That happens at most once a day, in a render that starts the memory of a new tree. Another process may read, write or
remove the same memories meanwhile; a render without a memory compiles everything, with the same result.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

OUTPUT = "output"
"""The file of a memory's directory that says which output directory it is about."""
MEMORY = "compiled.json"
"""The file of the memory itself; one that is being written has an ending more."""
LONGEST_UNUSED = 90 * 86_400
"""Seconds after the last change of a memory until it is removed."""
BETWEEN_LOOKS = 86_400
"""Seconds between two looks."""
_LOOKED = "looked"


def note_output(directory: Path, out: Path) -> None:
    """Notes in the directory of a memory which output directory it is about; OSError where it cannot be written."""
    with suppress(FileExistsError), open(directory / OUTPUT, "xb") as file:  # x: never through a link
        file.write(os.fsencode(os.path.realpath(out)))


def remove_forgotten(home: Path, now: float) -> None:
    """Removes memories whose output directory does not exist, or that are long unused; `now` in seconds since 1970.

    Nothing else is removed: no link is followed, and a directory with any other file stays. Errors are ignored.
    """
    with suppress(OSError):
        looked = home / _LOOKED
        if os.path.lexists(looked) and abs(now - os.lstat(looked).st_mtime) < BETWEEN_LOOKS:
            return
        looked.unlink(missing_ok=True)
        os.close(os.open(looked, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        for name in os.listdir(home):
            with suppress(OSError):
                _remove_if_forgotten(home / name, now)


def _remove_if_forgotten(directory: Path, now: float) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = os.listdir(handle)
        if not all(name == OUTPUT or name.startswith(MEMORY) for name in names):  # somebody else's
            return
        if now - os.fstat(handle).st_mtime < LONGEST_UNUSED and not _is_gone(handle):
            return
        for name in names:
            os.unlink(name, dir_fd=handle)
    finally:
        os.close(handle)
    directory.rmdir()


def _is_gone(directory: int) -> bool:
    """Whether a memory notes its output directory, and that does not exist."""
    try:
        file = os.open(OUTPUT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:  # of an older stormc
        return False
    with os.fdopen(file, "rb") as stream:
        noted = stream.read(4096) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    return noted.startswith(b"/") and not os.path.lexists(noted)
