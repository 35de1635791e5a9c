"""The commit that a change is measured from."""

from __future__ import annotations

from collections.abc import Mapping

from git import GitCommandError, Repo

from stormc.failure import Failure
from stormc.phrase import phrase

MAIN_LINES = ("origin/HEAD", "main")
"""Where a branch is taken to come from, first that exists: the remote's default branch, else a local `main`."""


def main_lines(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What a branch may come from: the target of the pull request that a CI system names, then MAIN_LINES."""
    exact = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
    targets = (environment.get(name) for name in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"))
    return (*([exact] if exact else []), *(f"origin/{target}" for target in targets if target), *MAIN_LINES)


def commit_of(repository: Repo, name: str) -> str | None:
    """The id of the commit that a name stands for."""
    try:
        return str(repository.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
    except GitCommandError:
        return None


def base_of(repository: Repo, named: str | None, lines: tuple[str, ...], exact: bool = False) -> str | None:
    """The commit to compare with: the named one, else where HEAD left the first line that exists, else HEAD.

    None before the first commit. `exact` demands the very commit where HEAD left: without it, a shallow clone that
    does not hold it is compared with the tip of the line. Raises Failure for a name of no commit, and where a detached
    HEAD or a shallow clone knows of no other line: HEAD would then be compared with itself, without a difference.
    """
    if named is not None:
        commit = commit_of(repository, named)
        if commit is None:
            raise Failure(phrase("{named} names no commit", named=named))
        return commit
    head = commit_of(repository, "HEAD")
    line = next((commit for name in lines if (commit := commit_of(repository, name))), None)
    if head is None:
        return None
    if line is None:
        if repository.head.is_detached or _is_shallow(repository):
            raise Failure(phrase("no base to compare with: give --base, or fetch the branch that HEAD comes from"))
        return head
    try:
        left = str(repository.git.merge_base(line, head))
        if left == head and _is_shallow(repository) and not repository.is_dirty(untracked_files=True):
            raise Failure(
                phrase("no base to compare with: the clone holds nothing but HEAD; give --base, or fetch more")
            )
        return left
    except GitCommandError:  # a shallow clone does not hold the commit where the branch began
        if exact:
            raise Failure(
                phrase("no base to compare with: the clone does not reach back to where HEAD left; fetch more")
            ) from None
        return line


def _is_shallow(repository: Repo) -> bool:
    return str(repository.git.rev_parse("--is-shallow-repository")) == "true"
