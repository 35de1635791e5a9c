"""Which files of a directory differ from a revision of the Git repository around it."""

from __future__ import annotations

import os
from pathlib import Path

from git import GitCommandError, GitCommandNotFound, Repo

from stormc.failure import Failure
from stormc.history.repository import open_repository

MAIN_LINES = ("origin/HEAD", "main")
"""Where a branch is taken to come from, first that exists: the remote's default branch, else a local `main`."""


def changed_files(directory: Path, base: str | None = None) -> frozenset[str]:
    """The paths below a directory whose files differ from the base: staged, unstaged, untracked, also deleted ones.

    A renamed file counts with both names. Without a base it is the commit at which HEAD left the first of MAIN_LINES
    that exists, else HEAD; before the first commit every file is new. Files that Git ignores are passed over.
    Raises Failure outside a repository and for a base that names no commit.
    """
    with open_repository(directory) as repository:
        try:
            return _changed(repository, directory, base)
        except GitCommandNotFound:
            raise Failure("--changed needs git on the PATH") from None
        except GitCommandError as error:
            reason = error.stderr.strip().removeprefix("stderr: ").strip("'\n ").split("\n")[0]
            raise Failure(f"git {error.command[1]}: {reason}") from None


def _changed(repository: Repo, directory: Path, base: str | None) -> frozenset[str]:
    git = repository.git
    where = ("--", f":(literal){os.path.realpath(directory)}")
    untracked = _paths(git.ls_files("-z", "--full-name", "--others", "--exclude-standard", *where))
    start = _commit(repository, base) if base else _branching(repository)
    if base and start is None:
        raise Failure(f"{base} names no commit")
    if start is None:
        changed = _paths(git.ls_files("-z", "--full-name", *where))
    else:
        plain = ["-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative"]
        plain += ["--ignore-submodules=all", start]
        changed = _paths(git.diff(*plain, *where)) | _paths(git.diff("--cached", *plain, *where))
    top = os.path.relpath(os.path.realpath(directory), os.path.realpath(str(repository.working_dir)))
    return frozenset(path if top == "." else path.removeprefix(f"{top}/") for path in changed | untracked)


def _branching(repository: Repo) -> str | None:
    """The commit that a change is measured from, None before the first commit."""
    head = _commit(repository, "HEAD")
    main = next((commit for line in MAIN_LINES if (commit := _commit(repository, line))), None)
    if head is None or main is None:
        return head
    try:
        return str(repository.git.merge_base(main, head))
    except GitCommandError:  # a shallow clone does not hold the commit where the branch began
        return main


def _commit(repository: Repo, name: str) -> str | None:
    """The id of the commit that a name stands for."""
    try:
        return str(repository.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
    except GitCommandError:
        return None


def _paths(output: str) -> frozenset[str]:
    return frozenset(path for path in output.split("\0") if path)
