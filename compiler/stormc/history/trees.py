"""A directory as a commit has it: its files are read from Git's objects, without a checkout and without a clone."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from git import GitCommandError, Repo

from stormc.failure import Failure
from stormc.history.repository import open_repository

REGULAR = ("100644", "100755")
LIMIT = 1 << 20
"""Bytes of one file that are read; a spec has at most as many."""


class Tree(NamedTuple):
    """The regular files below a directory of a commit, by their path below it. `links` are what else stands there."""

    commit: str
    files: dict[str, bytes]
    links: tuple[str, ...]


def read_tree(directory: Path, commit: str, suffixes: tuple[str, ...]) -> Tree:
    """The files with one of these suffixes below a directory at a commit, in two calls of Git.

    The directory need not exist any more, but its repository must be found from it or from the working directory.
    Raises Failure for an object that Git cannot read.
    """
    with open_repository(directory if directory.is_dir() else Path.cwd()) as repository:
        below = _below(repository, directory)
        try:
            listing = repository.git.ls_tree("-r", "-z", "-l", "--full-tree", commit, "--", below)
            entries = [_entry(line, below) for line in listing.split("\0") if line]
            wanted = [e for e in entries if e.path.endswith(suffixes)]
            regular = [e for e in wanted if e.mode in REGULAR and e.size <= LIMIT]
            contents = _blobs(repository, [entry.object_id for entry in regular])
        except GitCommandError as error:
            raise Failure(f"git cannot read {commit}: {_reason(error)}") from None
    files = {entry.path: content for entry, content in zip(regular, contents, strict=True)}
    return Tree(commit, files, tuple(e.path for e in wanted if e.mode not in REGULAR))


class _Entry(NamedTuple):
    mode: str
    object_id: str
    size: int
    path: str


def _entry(line: str, below: str) -> _Entry:
    facts, _, path = line.partition("\t")
    mode, _, object_id, size = facts.split()
    return _Entry(mode, object_id, int(size) if size.isdigit() else 0, path.removeprefix(below))


def _below(repository: Repo, directory: Path) -> str:
    """The directory as Git names it, with a slash at its end; empty for the top."""
    top = os.path.realpath(str(repository.working_dir))
    relative = os.path.relpath(os.path.realpath(directory), top)
    return "" if relative == "." else relative.replace(os.sep, "/") + "/"


def _blobs(repository: Repo, ids: list[str]) -> list[bytes]:
    """The contents of blobs, in one call."""
    if not ids:
        return []
    with TemporaryFile() as names:
        names.write("".join(f"{object_id}\n" for object_id in ids).encode())
        names.seek(0)
        output: bytes = repository.git.cat_file(
            "--batch", istream=names, stdout_as_string=False, strip_newline_in_stdout=False
        )
    contents, at = [], 0
    for _ in ids:
        end = output.index(b"\n", at)
        size = int(output[at:end].split()[2])
        contents.append(output[end + 1 : end + 1 + size])
        at = end + size + 2
    return contents


def _reason(error: GitCommandError) -> str:
    return str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ").split("\n")[0]
