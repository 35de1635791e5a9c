"""Git, as stormc calls it: nothing of the branch runs, and nothing of the branch is taken for Git's own files."""

from __future__ import annotations

import os
from pathlib import Path

from git import InvalidGitRepositoryError, NoSuchPathError, Repo

from stormc.failure import Failure

SAFE = (
    # Five files of a branch (HEAD, config, objects/, refs/ …) make a bare repository, whose config names commands.
    "safe.bareRepository=explicit",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.quotePath=false",
)
"""Settings on every command line, which no config file of a repository overrides (git-config(1), "protected")."""


def open_repository(directory: Path) -> Repo:
    """The repository around a directory: the nearest one above with an entry `.git`, which no commit can hold.

    Raises Failure outside of one.
    """
    top = top_of(directory)
    try:
        if top is None:
            raise InvalidGitRepositoryError
        repository = Repo(top, expand_vars=False)
    except (InvalidGitRepositoryError, NoSuchPathError):
        raise Failure(f"{directory} is in no Git repository") from None
    repository.git.set_persistent_git_options(c=list(SAFE))
    repository.git.update_environment(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", GIT_PAGER="cat")
    return repository


def top_of(directory: Path) -> Path | None:
    """The top of the work tree that a directory lies in, None outside of one and for what is no directory."""
    real = Path(os.path.realpath(directory))
    if not real.is_dir():
        return None
    return next((path for path in (real, *real.parents) if os.path.lexists(path / ".git")), None)


def is_tracked(path: Path) -> bool:
    """Whether Git knows a file or link, or one below a directory, as part of the work tree; False without Git."""
    from git import GitCommandError, GitCommandNotFound

    place = os.path.join(os.path.realpath(path.parent), path.name)
    try:
        with open_repository(path.parent) as repository:
            return bool(repository.git.ls_files("-z", "--", f":(literal){place}"))
    except (Failure, GitCommandError, GitCommandNotFound):
        return False
