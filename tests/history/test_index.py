"""What Git's index has of a directory, read without GitPython."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stormc.failure import Failure
from stormc.history.index import indexed, is_tracked, unstaged


def git(top: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=top, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=["sha1", "sha256"])
def top(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", f"--object-format={request.param}")
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "ä b.yaml").write_text("one\n")
    (tmp_path / "out" / "c.yaml").write_text("two\n")
    (tmp_path / "link").symlink_to("out")
    git(tmp_path, "add", "-A")
    return tmp_path


def test_the_names_of_contents_are_those_of_git(top: Path) -> None:
    names = {path: git(top, "hash-object", f"out/{path}").strip() for path in ("a/ä b.yaml", "c.yaml")}
    assert indexed(top / "out") == names
    assert indexed(top / "out" / "c.yaml") == {"": names["c.yaml"]}
    assert indexed(top).keys() == {"out/a/ä b.yaml", "out/c.yaml", "link"}


def test_contents_are_those_of_the_work_tree(top: Path) -> None:
    (top / "out" / "c.yaml").write_text("three\n")
    (top / "out" / "d.yaml").write_text("four\n")
    found = unstaged(top / "out", ["c.yaml", "d.yaml"], None)
    assert (found.missing, found.different, found.leftover) == (("d.yaml",), ("c.yaml",), ("a/ä b.yaml",))
    assert unstaged(top / "out", ["c.yaml", "d.yaml"], ["b"]).leftover == ()
    assert unstaged(top / "out", [], ["a"]).leftover == ("a/ä b.yaml",)
    assert unstaged(top / "out", ["a/new.yaml"], ["a"]) == (("a/new.yaml",), (), ("a/ä b.yaml",))


def test_a_link_is_not_what_it_points_to(top: Path) -> None:
    assert is_tracked(top / "link") and list(indexed(top / "link")) == [""]
    git(top, "rm", "-q", "--cached", "link")
    assert not is_tracked(top / "link") and is_tracked(top / "out")


def test_a_directory_that_is_not_there_is_empty(top: Path) -> None:
    assert indexed(top / "none") == {}


@pytest.mark.parametrize("where", ["directory", "files of a bare repository"])
def test_outside_of_a_work_tree_is_a_failure(tmp_path: Path, where: str) -> None:
    if where != "directory":
        git(tmp_path, "init", "-q", "--bare", ".")
    with pytest.raises(Failure, match="is in no Git repository"):
        indexed(tmp_path)
    assert not is_tracked(tmp_path / "HEAD")


def test_without_git_is_a_failure(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(top))
    with pytest.raises(Failure, match="git is not on the PATH"):
        indexed(top)
    assert not is_tracked(top / "link")


def test_what_git_refuses_is_a_failure(top: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (top / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(Failure, match="git ls-files ended with 128"):
        indexed(top)
    assert "fatal" in capfd.readouterr().err
