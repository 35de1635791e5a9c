"""The commit that a change is compared with: where HEAD left its main branch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from tempfile import TemporaryFile

from git import GitCommandError, Repo

from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.record import NamedTuple

MAIN_BRANCHES = ("origin/HEAD", "main")
"""The branches that HEAD may have left, the first that exists: the remote's default branch, else a local `main`."""

_ID = "[0-9a-f]{40}|[0-9a-f]{64}"


def main_branches(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The branches that HEAD may have left: the target of the pull request, where GitHub or GitLab names it in the
    environment, then MAIN_BRANCHES. GitLab names a commit too, which comes first.
    """
    exact = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
    targets = (environment.get(name) for name in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"))
    return (*([exact] if exact else []), *(f"origin/{target}" for target in targets if target), *MAIN_BRANCHES)


class Base(NamedTuple):
    """The commit to compare with, and that of HEAD; both are None before the first commit."""

    commit: str | None
    head: str | None


def commits_of(repository: Repo, *names: str) -> tuple[str | None, ...]:
    """The ids of the commits that names stand for, in one call of Git; None for a name of no commit."""
    with TemporaryFile() as request:
        request.write(os.fsencode("".join(f"{name}^{{commit}}\n" if "\n" not in name else "\n" for name in names)))
        request.seek(0)
        answers = repository.git.cat_file("--batch-check=%(objectname)", istream=request).split("\n")
    return tuple(answer if re.fullmatch(_ID, answer) else None for answer in answers)


def base_of(repository: Repo, named: str | None, branches: tuple[str, ...], *, exact: bool = False) -> Base:
    """The commit to compare with: the named one, else where HEAD left the first of `branches` that exists, else HEAD.

    A shallow clone may not hold the commit where HEAD left: then it is the tip of the branch, or with `exact` a
    Failure. Raises Failure for a name of no commit, and where a detached HEAD or a shallow clone has none of the
    branches: HEAD would be compared with itself.
    """
    head, *tips = commits_of(repository, "HEAD", *(branches if named is None else [named]))
    tip = next(filter(None, tips), None)
    if named is not None:
        if tip is None:
            raise Failure(phrase("{named} names no commit", named=named))
        return Base(tip, head)
    if head is None:
        return Base(None, None)
    if tip is None:
        if repository.head.is_detached or _is_shallow(repository):
            raise Failure(phrase("no base to compare with: give --base, or fetch the branch that HEAD comes from"))
        return Base(head, head)
    return Base(_fork(repository, tip, head, exact), head)


def _fork(repository: Repo, tip: str, head: str, exact: bool) -> str:
    """The commit where HEAD left a branch."""
    try:
        fork = str(repository.git.merge_base(tip, head)) if tip != head else head
    except GitCommandError:  # a shallow clone does not hold it
        if exact:
            raise Failure(
                phrase("no base to compare with: the clone does not reach back to where HEAD left; fetch more")
            ) from None
        return tip
    if fork == head and _is_shallow(repository) and not repository.is_dirty(untracked_files=True):
        raise Failure(phrase("no base to compare with: the clone holds nothing but HEAD; give --base, or fetch more"))
    return fork


def _is_shallow(repository: Repo) -> bool:
    """Whether the repository lacks older commits (gitrepository-layout(5), "shallow")."""
    return os.path.exists(os.path.join(repository.common_dir, "shallow"))
