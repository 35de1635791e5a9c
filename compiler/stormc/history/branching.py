"""The commit that a change is compared with: where HEAD left its main branch."""

from __future__ import annotations

from collections.abc import Mapping

from git import GitCommandError, Repo

from stormc.failure import Failure
from stormc.phrase import phrase

MAIN_BRANCHES = ("origin/HEAD", "main")
"""The branches that HEAD may have left, the first that exists: the remote's default branch, else a local `main`."""


def main_branches(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The branches that HEAD may have left: the target of the pull request, where GitHub or GitLab names it in the
    environment, then MAIN_BRANCHES. GitLab names a commit too, which comes first.
    """
    exact = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
    targets = (environment.get(name) for name in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"))
    return (*([exact] if exact else []), *(f"origin/{target}" for target in targets if target), *MAIN_BRANCHES)


def commit_of(repository: Repo, name: str) -> str | None:
    """The id of the commit that a name stands for; None for a name of no commit."""
    try:
        return str(repository.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
    except GitCommandError:
        return None


def base_of(repository: Repo, named: str | None, branches: tuple[str, ...], *, exact: bool = False) -> str | None:
    """The commit to compare with: the named one, else where HEAD left the first of `branches` that exists, else HEAD.

    None before the first commit. A shallow clone may not hold the commit where HEAD left: then it is the tip of the
    branch, or with `exact` a Failure. Raises Failure for a name of no commit, and where a detached HEAD or a shallow
    clone has none of the branches: HEAD would be compared with itself.
    """
    if named is not None:
        commit = commit_of(repository, named)
        if commit is None:
            raise Failure(phrase("{named} names no commit", named=named))
        return commit
    head = commit_of(repository, "HEAD")
    tip = next((commit for name in branches if (commit := commit_of(repository, name))), None)
    if head is None:
        return None
    if tip is None:
        if repository.head.is_detached or _is_shallow(repository):
            raise Failure(phrase("no base to compare with: give --base, or fetch the branch that HEAD comes from"))
        return head
    try:
        fork = str(repository.git.merge_base(tip, head))
        if fork == head and _is_shallow(repository) and not repository.is_dirty(untracked_files=True):
            raise Failure(
                phrase("no base to compare with: the clone holds nothing but HEAD; give --base, or fetch more")
            )
        return fork
    except GitCommandError:  # a shallow clone does not hold the commit where the branch began
        if exact:
            raise Failure(
                phrase("no base to compare with: the clone does not reach back to where HEAD left; fetch more")
            ) from None
        return tip


def _is_shallow(repository: Repo) -> bool:
    return str(repository.git.rev_parse("--is-shallow-repository")) == "true"
