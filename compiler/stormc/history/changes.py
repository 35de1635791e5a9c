"""Which files of a directory differ from a revision of the Git repository around it."""

from __future__ import annotations

import os
from pathlib import Path

from git import GitCommandError, GitCommandNotFound, Repo

from stormc.failure import Failure
from stormc.history.branching import MAIN_BRANCHES, Base, base_of
from stormc.history.repository import open_repository
from stormc.phrase import phrase

PLAIN = (
    "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules=all",
)  # fmt: skip
"""Options of a diff that names files and runs no program of the repository's settings."""
_STATUS = ("-z", "--porcelain", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
"""Options of a status that says of HEAD at once what takes two diffs and a listing for any other commit."""


def changed_files(
    directory: Path, base: str | None = None, branches: tuple[str, ...] = MAIN_BRANCHES
) -> frozenset[str]:
    """The paths below a directory whose files differ from the base: staged, unstaged, untracked, also deleted ones.

    A renamed file counts with both names. Without a base it is the commit at which HEAD left the first of
    `branches` that exists, else HEAD; before the first commit every file is new. Files that Git ignores are left
    out. Raises Failure outside of a repository and for a base that names no commit.
    """
    with open_repository(directory) as repository:
        try:
            return changed_since(repository, directory, base_of(repository, base, branches))
        except GitCommandNotFound:
            raise Failure(phrase("--changed needs git on the PATH")) from None
        except GitCommandError as error:
            reason = error.stderr.strip().removeprefix("stderr: ").strip("'\n ").split("\n")[0]
            raise Failure(phrase("git {command}: {reason}", command=error.command[1], reason=reason)) from None


def changed_since(repository: Repo, directory: Path, base: Base) -> frozenset[str]:
    """The paths that `changed_files` gives, for a base that is known. Raises GitCommandError."""
    git = repository.git
    where = ("--", f":(literal){os.path.realpath(directory)}")
    untracked = ("-z", "--full-name", "--others", "--exclude-standard")
    if base.commit is None:
        changed = _paths(git.ls_files("--cached", *untracked, *where))
    elif base.commit == base.head:
        changed = frozenset(line[len("XY ") :] for line in _paths(git.status(*_STATUS, *where)))
    else:
        unstaged, staged = git.diff(*PLAIN, base.commit, *where), git.diff("--cached", *PLAIN, base.commit, *where)
        changed = _paths(unstaged) | _paths(staged) | _paths(git.ls_files(*untracked, *where))
    top = os.path.relpath(os.path.realpath(directory), os.path.realpath(str(repository.working_dir)))
    return frozenset(path if top == "." else path.removeprefix(f"{top}/") for path in changed)


def _paths(output: str) -> frozenset[str]:
    return frozenset(path for path in output.split("\0") if path)
