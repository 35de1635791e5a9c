"""What a commit holds, and which commits names stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.failure import Failure
from stormc.history.branching import commits_of
from stormc.history.repository import open_repository
from stormc.history.trees import LIMIT, read_tree
from tests.review.edits import git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A commit with three specs, the second of which is too long to be one, and a link."""
    git(tmp_path, "init", "-q", "-b", "main")
    for path, text in {"a.yaml": "a: 1\n", "b.yaml": "#" * (LIMIT + 1), "deep/ç.yaml": "c: 3\n", "d.txt": "d"}.items():
        file = tmp_path / "specs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / "specs/link.yaml").symlink_to("a.yaml")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "-am", "an object of its own", "v1")
    return tmp_path


def test_what_is_longer_than_a_spec_is_passed_over(root: Path) -> None:
    tree = read_tree(root / "specs", "HEAD", (".yaml",))
    assert tree == ({"a.yaml": b"a: 1\n", "deep/ç.yaml": b"c: 3\n"}, ("link.yaml",))
    assert read_tree(root, "HEAD", (".yaml",), lambda path: path == "specs/a.yaml").files == {"specs/a.yaml": b"a: 1\n"}
    assert read_tree(root, "HEAD", (".yaml",), lambda path: False) == ({}, ())


def test_an_object_that_is_not_there_is_told(root: Path) -> None:
    blob = git(root, "rev-parse", "HEAD:specs/a.yaml")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Failure, match=f"git cannot read {blob}: missing"):
        read_tree(root / "specs", "HEAD", (".yaml",))


def test_names_stand_for_commits_or_for_none(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    names = ("HEAD", "nothing", "v1", "a\nHEAD", "", "HEAD:specs", "-p", head[:9], f"{head} commit 1", "main")
    with open_repository(root) as repository:
        found = commits_of(repository, *names)
    assert found == (head, None, head, None, None, None, None, head, None, head)
