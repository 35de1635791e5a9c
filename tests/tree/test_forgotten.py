"""Memories of trees that are gone: what is removed of a cache directory, and what stays."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.tree.forgotten import BETWEEN_LOOKS, LONGEST_UNUSED, note_output, remove_forgotten
from stormc.tree.memory import FILE, memory_directory
from tests.samples import spec_text

NOW = time.time()
RECENT, LONG_AGO = NOW - 60, NOW - LONGEST_UNUSED - 60


def memory(home: Path, name: str, out: Path | None) -> Path:
    directory = home / (name * 32)
    directory.mkdir()
    (directory / FILE).write_text("")
    if out is not None:
        note_output(directory, out)
    os.utime(directory, (RECENT, RECENT))
    return directory


def look(home: Path) -> set[str]:
    remove_forgotten(home, NOW)
    return {path.name for path in home.iterdir()} - {"looked"}


def removed_tree(directory: Path) -> None:
    (directory.parents[1] / "tree").rmdir()


def long_unused(directory: Path) -> None:
    os.utime(directory, (LONG_AGO, LONG_AGO))


def of_an_older_stormc(directory: Path) -> None:
    (directory / "output").unlink()


def about_a_link(directory: Path) -> None:
    (directory / "output").unlink()
    (directory / "output").symlink_to("/gone")


def about_a_relative_path(directory: Path) -> None:
    (directory / "output").write_text("gone")


def half_written(directory: Path) -> None:
    (directory / f"{FILE}.0").write_text("")


def with_a_strange_file(directory: Path) -> None:
    (directory / "x").write_text("")


Changes = tuple[Callable[[Path], None], ...]
STAY: dict[str, Changes] = {
    "in use": (),
    "of an older stormc": (of_an_older_stormc,),
    "with a file of somebody else": (removed_tree, with_a_strange_file, long_unused),
    "about a link": (about_a_link,),
    "about a relative path": (about_a_relative_path,),
}
GO: dict[str, Changes] = {
    "its tree is gone": (removed_tree,),
    "its tree is gone and a render was killed": (removed_tree, half_written),
    "long unused": (long_unused,),
    "of an older stormc, long unused": (of_an_older_stormc, long_unused),
}


@pytest.mark.parametrize("case", [*STAY, *GO])
def test_only_memories_without_their_tree_are_removed(tmp_path: Path, case: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "home").mkdir()
    directory = memory(tmp_path / "home", "a", tmp_path / "tree")
    for change in (STAY | GO)[case]:
        change(directory)
    assert (directory.name in look(tmp_path / "home")) is (case in STAY)


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    elsewhere = memory(tmp_path, "b", tmp_path / "gone")
    (home / ("c" * 32)).symlink_to(elsewhere)
    (home / "e2e").mkdir()
    (home / "e2e" / "etcd").write_text("")
    assert look(home) == {"c" * 32, "e2e"}
    assert sorted(path.name for path in elsewhere.iterdir()) == [FILE, "output"]


def test_a_second_look_comes_a_day_later(tmp_path: Path) -> None:
    assert look(tmp_path) == set()
    os.utime(tmp_path / "looked", (NOW, NOW))
    forgotten = memory(tmp_path, "a", tmp_path / "gone")
    remove_forgotten(tmp_path, NOW + BETWEEN_LOOKS - 1)
    assert forgotten.exists()
    remove_forgotten(tmp_path, NOW + BETWEEN_LOOKS)
    assert not forgotten.exists()


def test_a_render_of_a_new_tree_removes_the_memory_of_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = []
    for name in ("first", "second"):
        (tmp_path / name / "specs").mkdir(parents=True)
        (tmp_path / name / "specs/a.yaml").write_text(spec_text("name: a"))
        monkeypatch.chdir(tmp_path / name)
        assert main(["render"]) == 0
        places.append(memory_directory(Path("rendered"), Path("specs")))
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(tmp_path / name)
        (tmp_path / "cache/stormc/looked").unlink()
    first, second = places
    assert first is not None and not first.exists()
    assert second is not None and second.exists()
