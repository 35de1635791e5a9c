"""Renders whose workers stage their apps' files: the same bytes, nothing after an error, nothing torn by a kill."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from stormc.repository.processes import PARALLEL_FROM
from stormc.tree.staging import PREFIX
from tests.samples import spec_text
from tests.tree.processes import render, start, tree, write

NAMES = [f"app-{number}" for number in range(PARALLEL_FROM)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with as many apps as it takes for workers, every third below another app's directory."""
    top = tmp_path_factory.mktemp("workers")
    for number, name in enumerate(NAMES):
        inside = f"{NAMES[number - 1]}/" if number % 3 == 2 else ""
        write(top, f"specs/{inside}{name}.yaml", spec_text(f"name: {name}\nmodel: {{name: {name}}}"))
    return top


def empty(root: Path) -> None:
    subprocess.run(["rm", "-rf", "rendered"], cwd=root, check=True)


def left_over(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name.startswith(PREFIX)]


def test_workers_write_what_one_process_writes(root: Path) -> None:
    trees = []
    for jobs in ("1", "2", "3"):
        empty(root)
        done = render(root, "-j", jobs)
        assert done.code == 0 and done.out.startswith(f"{len(NAMES)} apps: "), done.err
        trees.append(tree(root / "rendered"))
        assert ": 0 files written" in render(root, "-j", jobs).out
    assert trees[0] == trees[1] == trees[2]
    assert {path.parent.name for path in (root / "rendered").rglob("stormservice-*.yaml")} == set(NAMES)
    assert left_over(root) == []


def test_an_error_in_one_spec_leaves_the_tree_as_it_is(root: Path) -> None:
    before, last = tree(root / "rendered"), root / f"specs/{NAMES[-1]}.yaml"
    good = last.read_text()
    for name in NAMES[::2]:
        for path in (root / "specs").rglob(f"{name}.yaml"):
            path.write_text(path.read_text() + "port: 9000\n")
    last.write_text("name: [\n")
    done = render(root, "-j", "2")
    assert done.code == 1 and "nothing was written" in done.err
    assert tree(root / "rendered") == before and left_over(root) == []
    last.write_text(good)


@pytest.mark.parametrize("lines", [0, 1, 20, 60, 63])
def test_a_render_that_is_killed_leaves_whole_files_and_the_next_one_heals(root: Path, lines: int) -> None:
    assert render(root, "-j", "2").code == 0
    complete = tree(root / "rendered")
    empty(root)
    child = start(root, "-j", "2")
    while child.poll() is None and len(list(root.glob(f"{PREFIX}*/*"))) < lines:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    found = tree(root / "rendered") if (root / "rendered").exists() else {}
    assert all(complete[path] == content for path, content in found.items())
    assert render(root, "-j", "2").code == 0
    assert tree(root / "rendered") == complete
