"""Which files of a directory differ from a revision of the Git repository around it."""

from __future__ import annotations

import os
from pathlib import Path

from stormc.history.branching import MAIN_LINES, base_of
from stormc.history.git import Git, git_of

PLAIN = (
    "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules=all",
)  # fmt: skip
"""Options of a diff that names files and runs no program of the repository's settings."""


def changed_files(directory: Path, base: str | None = None, lines: tuple[str, ...] = MAIN_LINES) -> frozenset[str]:
    """The paths below a directory whose files differ from the base: staged, unstaged, untracked, also deleted ones.

    A renamed file counts with both names. Without a base it is the commit at which HEAD left the first of `lines`
    that exists, else HEAD; before the first commit every file is new. Files that Git ignores are passed over.
    Raises Failure outside a repository and for a base that names no commit.
    """
    git = git_of(directory)
    return _changed(git, directory, base_of(git, base, lines))


def _changed(git: Git, directory: Path, start: str | None) -> frozenset[str]:
    where = ("--", f":(literal){os.path.realpath(directory)}")
    untracked = git.paths("ls-files", "-z", "--full-name", "--others", "--exclude-standard", *where)
    if start is None:
        changed = git.paths("ls-files", "-z", "--full-name", *where)
    else:
        changed = git.paths("diff", *PLAIN, start, *where) | git.paths("diff", "--cached", *PLAIN, start, *where)
    top = os.path.relpath(os.path.realpath(directory), git.top)
    return frozenset(path if top == "." else path.removeprefix(f"{top}/") for path in changed | untracked)
