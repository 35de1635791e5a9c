"""A directory as a commit has it: its files are read from Git's objects, without a checkout and without a clone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from git import GitCommandError, Repo

from stormc.failure import Failure
from stormc.history.branching import base_of, commits_of
from stormc.history.changes import PLAIN, changed_since
from stormc.history.repository import open_repository
from stormc.phrase import phrase
from stormc.record import NamedTuple

REGULAR = ("100644", "100755")
LIMIT = 1 << 20
"""Bytes of one file that are read; a spec has at most as many."""


class Tree(NamedTuple):
    """The regular files below a directory of a commit, by path; `links` are the links and submodules there."""

    files: dict[str, bytes]
    links: tuple[str, ...]


class Comparison(NamedTuple):
    """Two commits, or a commit and the work tree (None), and the paths below a directory that differ."""

    base: str | None
    head: str | None
    changed: frozenset[str]


def comparison(directory: Path, base: str | None, head: str | None, branches: tuple[str, ...]) -> Comparison:
    """What to compare: `base` or where HEAD left the first of `branches`, with `head` or the work tree.

    Raises Failure outside a repository, for names of no commit, and where a clone holds no base to compare with.
    """
    with open_repository(directory) as repository:
        try:
            start = base_of(repository, base, branches, exact=True)
            if not head:
                return Comparison(start.commit, None, changed_since(repository, directory, start))
            (end,) = commits_of(repository, head)
            if end is None:
                raise Failure(phrase("{head} names no commit", head=head))
            below = _below(repository, directory)
            listed = repository.git.diff(*PLAIN, start.commit or EMPTY_TREE, end, "--", f":(top,literal){below}")
        except GitCommandError as error:
            raise Failure(phrase("git cannot compare: {reason}", reason=_reason(error))) from None
    paths = frozenset(path.removeprefix(below) for path in listed.split("\0") if path)
    return Comparison(start.commit, end, paths)


EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The tree without a file, which every Git knows."""


def _every(path: str) -> bool:
    return True


def read_tree(directory: Path, commit: str, suffixes: tuple[str, ...], chosen: Callable[[str], bool] = _every) -> Tree:
    """The chosen files with one of these suffixes below a directory at a commit, in two calls of Git.

    Raises Failure for an object that Git cannot read.
    """
    with open_repository(directory) as repository:
        below = _below(repository, directory)
        try:
            listing = repository.git.ls_tree(
                "-r", "-z", "--full-tree", commit, "--", below or ".", env={"GIT_LITERAL_PATHSPECS": "1"}
            )
            entries = [_entry(line, below) for line in listing.split("\0") if line]
            listed = [e for e in entries if e.path.endswith(suffixes) and chosen(e.path)]
            regular = [e for e in listed if e.mode in REGULAR]
            contents = list(_blobs(repository, [entry.object_id for entry in regular]))
        except GitCommandError as error:
            raise Failure(phrase("git cannot read {commit}: {reason}", commit=commit, reason=_reason(error))) from None
    files = {entry.path: content for entry, content in zip(regular, contents, strict=True) if content is not None}
    return Tree(files, tuple(e.path for e in listed if e.mode not in REGULAR))


class _Entry(NamedTuple):
    mode: str
    object_id: str
    path: str


def _entry(line: str, below: str) -> _Entry:
    facts, _, path = line.partition("\t")
    mode, _, object_id = facts.split()
    return _Entry(mode, object_id, path.removeprefix(below))


def _below(repository: Repo, directory: Path) -> str:
    """The directory as Git names it, with a slash at its end; empty for the top."""
    top = os.path.realpath(str(repository.working_dir))
    relative = os.path.relpath(os.path.realpath(directory), top)
    return "" if relative == "." else relative.replace(os.sep, "/") + "/"


def _blobs(repository: Repo, ids: Sequence[str]) -> Iterator[bytes | None]:
    """The contents of blobs, in one call; None for one over the limit. Raises Failure for one that is not there."""
    if not ids:
        return
    with TemporaryFile() as names:
        names.write("".join(f"{object_id}\n" for object_id in ids).encode())
        names.seek(0)
        process = repository.git.cat_file("--batch", istream=names, as_process=True)
        for object_id in ids:
            header = process.stdout.readline().split()
            if len(header) != len(("id", "type", "size")):
                raise Failure(phrase("git cannot read {commit}: {reason}", commit=object_id, reason="missing"))
            size = int(header[2])
            if size > LIMIT:
                _pass_over(process.stdout, size)
                yield None
            else:
                yield process.stdout.read(size)
            process.stdout.read(len(b"\n"))
        process.wait()


def _pass_over(stream: IO[bytes], size: int) -> None:
    """Reads and drops that many bytes, a piece at a time."""
    while size:
        size -= len(stream.read(min(size, LIMIT)))


def _reason(error: GitCommandError) -> str:
    return str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ").split("\n")[0]
