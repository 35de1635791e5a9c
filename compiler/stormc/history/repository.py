"""The repository around a directory, as GitPython opens it."""

from __future__ import annotations

from pathlib import Path

from git import InvalidGitRepositoryError, NoSuchPathError, Repo

from stormc.failure import Failure
from stormc.history.settings import SAFE, VARIABLES, top_of
from stormc.phrase import phrase


def open_repository(directory: Path) -> Repo:
    """The repository around a directory. Raises Failure outside of one."""
    top = top_of(directory)
    try:
        if top is None:
            raise InvalidGitRepositoryError
        repository = Repo(top, expand_vars=False)
    except (InvalidGitRepositoryError, NoSuchPathError):
        raise Failure(phrase("{directory} is in no Git repository", directory=directory)) from None
    repository.git.set_persistent_git_options(c=list(SAFE))
    repository.git.update_environment(**VARIABLES)
    return repository
