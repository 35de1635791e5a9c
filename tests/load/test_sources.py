"""Which files a specs directory holds: real files, links and pipes in a real directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from stormc.failure import Failure
from stormc.load.sources import read_sources
from tests.rights import nobody


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"# {path}\n")
    return root


def test_files_come_in_order_of_their_path_whatever_the_directory_says(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "b.yaml", "a/z.yml", "a/b/c.yaml", "platform.yaml", "README.md", ".hidden.yaml",
                 ".git/x.yaml", "profiles/lab.yaml")  # fmt: skip
    sources = read_sources(specs)
    assert [s.path for s in sources.files] == ["a/b/c.yaml", "a/z.yml", "b.yaml", "platform.yaml", "profiles/lab.yaml"]
    assert [s.path for s in sources.files if s.is_platform] == ["platform.yaml"]
    assert [s.path for s in sources.files if s.is_profile] == ["profiles/lab.yaml"]
    assert sources.files[0].raw == b"# a/b/c.yaml\n"
    assert sources.files[0].file == f"{specs}/a/b/c.yaml"
    assert sources.spec_file(sources.files[0]) == "specs/a/b/c.yaml"
    assert sources.findings == ()


def test_no_directory_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="is not a directory"):
        read_sources(tmp_path / "none")


def test_links_stay_inside(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "a.yaml")
    make(tmp_path, "secret.yaml", "elsewhere/b.yaml")
    (specs / "inside.yaml").symlink_to("a.yaml")
    (specs / "outside.yaml").symlink_to("../secret.yaml")
    (specs / "absolute.yaml").symlink_to(tmp_path / "secret.yaml")
    (specs / "directory").symlink_to("../elsewhere")
    sources = read_sources(specs)
    assert [s.path for s in sources.files] == ["a.yaml", "inside.yaml"]
    findings = {Path(f.file).name: (f.rule, f.message) for f in sources.findings}
    assert findings["outside.yaml"] == findings["absolute.yaml"]
    assert findings["outside.yaml"] == ("E109", "a symbolic link leads out of the specs directory")
    assert findings["directory"] == ("E109", "a symbolic link to a directory is not followed")


def test_a_link_whose_target_only_begins_like_the_directory_is_outside(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "a.yaml")
    make(tmp_path, "specs-of-others/b.yaml")
    (specs / "b.yaml").symlink_to("../specs-of-others/b.yaml")
    assert [f.rule for f in read_sources(specs).findings] == ["E109"]


def test_an_unreadable_file_is_a_finding(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "a.yaml")
    os.mkfifo(specs / "pipe.yaml")
    (specs / "gone.yaml").symlink_to("missing.yaml")
    (specs / "round.yaml").symlink_to("round.yaml")
    (specs / "dir.yaml").mkdir()
    sources = read_sources(specs)
    assert [s.path for s in sources.files] == ["a.yaml"]
    findings = {Path(f.file).name: (f.rule, f.message) for f in sources.findings}
    assert findings["pipe.yaml"] == ("E101", "not a regular file")
    assert findings["gone.yaml"] == ("E101", "cannot be read: No such file or directory")
    assert findings["round.yaml"][0] == "E101"


def test_a_file_without_permission_is_a_finding() -> None:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own may be entered by its owner only
        Path(directory).chmod(0o755)
        specs = make(Path(directory) / "specs", "a.yaml", "b.yaml", "locked/c.yaml")
        (specs / "b.yaml").chmod(0)
        (specs / "locked").chmod(0)
        with nobody():
            sources = read_sources(specs)
        (specs / "locked").chmod(0o755)
    assert [s.path for s in sources.files] == ["a.yaml"]
    assert [(Path(f.file).name, f.rule, f.message) for f in sources.findings] == [
        ("b.yaml", "E101", "cannot be read: Permission denied"),
        ("locked", "E101", "directory cannot be read: Permission denied"),
    ]


def test_files_with_any_name_are_read_or_reported(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "a b.yaml", "名.yaml", "new\nline.yaml", "tab\t/a.yaml", "notes\n.txt")
    Path(os.fsdecode(os.fsencode(specs) + b"/\xff.yaml")).write_text("x")
    sources = read_sources(specs)
    assert [s.path for s in sources.files] == ["a b.yaml", "名.yaml"]
    names = {Path(f.file).name for f in sources.findings if f.rule == "E103"}
    assert names == {"new\nline.yaml", "tab\t", "\udcff.yaml"}


def test_a_large_file_is_cut_one_byte_over_the_limit(tmp_path: Path) -> None:
    specs = make(tmp_path / "specs", "a.yaml")
    (specs / "a.yaml").write_bytes(b"#" * (3 << 20))
    assert len(read_sources(specs).files[0].raw) == (1 << 20) + 1
