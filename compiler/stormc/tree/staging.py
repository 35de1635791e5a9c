"""The place where new files are written before they are moved into the output directory, and the lock around it.

The branch may have put anything anywhere (links above all), so nothing here opens a path that existed before: the
lock is held on the directory beside the output itself, and the staging directory is always a new one.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from stormc.failure import Failure
from stormc.phrase import phrase

PREFIX = ".stormc-staging-"
"""How the names of staging directories start; the rest is random."""

_COARSE = 20_000_000
"""Nanoseconds: two ticks of a kernel that counts 100 of them in a second."""


def refuse_link(out: Path) -> None:
    """Raises Failure where the output directory is a symbolic link: whoever commits one chooses what is written to."""
    if out.is_symlink():
        raise Failure(
            phrase("{out} is a symbolic link; remove it, or give the directory that it stands for with --out", out=out)
        )


@contextmanager
def staged_beside(out: Path) -> Iterator[Path]:
    """An empty directory beside `out`, on its file system, held under a lock that waits for other renders to end.

    It is removed afterwards, and so are those that killed renders left behind. Raises Failure for an `out` that is a
    link.
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


New = bytes | str
"""A new file: its text, or the staged directory in which it lies under its own name."""


class NewFiles(Mapping[str, bytes]):
    """The files to write, by path. A staged one is read only when somebody asks for its text."""

    def __init__(self, files: Mapping[str, New]) -> None:
        """Takes the new files by path; those of one directory are all texts, or staged together."""
        self._files = {path: files[path] for path in sorted(files)}

    def __getitem__(self, path: str) -> bytes:
        new = self._files[path]
        return new if isinstance(new, bytes) else Path(new, path.rpartition("/")[2]).read_bytes()

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def stage(self, staging: Path) -> dict[str, str]:
        """Stages the texts that are not staged yet; the place where the new files of each directory are staged."""
        places: dict[str, str] = {}
        texts: dict[str, dict[str, bytes]] = {}
        for path, new in self._files.items():
            directory = path.rpartition("/")[0]
            if isinstance(new, bytes):
                texts.setdefault(directory, {})[path] = new
            else:
                places[directory] = new
        number = max(map(int, os.listdir(staging)), default=0)
        for directory, inside in texts.items():
            number += 1
            places[directory] = next(iter(stage(staging, number, inside).values()))
        return places


def stage(staging: Path, number: int, texts: Mapping[str, bytes]) -> dict[str, str]:
    """Writes the new files of one directory into a new directory of this number; the place of each file."""
    if not texts:
        return {}
    place = f"{staging}/{number}"
    os.mkdir(place)
    for path, text in texts.items():
        _write(f"{place}/{path.rpartition('/')[2]}", text)
    return dict.fromkeys(texts, place)


def _write(path: str, text: bytes) -> None:
    """Writes a new file, with the three calls that the system needs for it; `open` makes six."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        while text:
            text = text[os.write(handle, text) :]
    finally:
        os.close(handle)


def clock(staging: Path) -> int:
    """The time of the file system in nanoseconds, less the resolution that its clock may have."""
    os.utime(staging)
    return staging.stat().st_mtime_ns - _COARSE


def _clear(staging: Path) -> None:
    """Removes a staging directory with the numbered directories in it; anything else is not ours and stays."""
    with suppress(OSError), _opened(staging) as directory:
        for name in filter(str.isdecimal, os.listdir(directory)):
            with suppress(OSError):
                with _opened(name, directory) as numbered:
                    _remove_files(numbered)
                os.rmdir(name, dir_fd=directory)
    with suppress(OSError):
        staging.rmdir()


def _remove_files(directory: int) -> None:
    for name in os.listdir(directory):
        if name.endswith(".yaml") and stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)


@contextmanager
def _opened(path: Path | str, inside: int | None = None) -> Iterator[int]:
    """A directory and no link, open."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
    try:
        yield handle
    finally:
        os.close(handle)
