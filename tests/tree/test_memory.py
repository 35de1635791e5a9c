"""The memory of the last render: whatever happens to it, the next render writes the right bytes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stormc.__main__ import main
from stormc.digest import digest
from stormc.tree.memory import FILE, Compiler, memory_directory, this_compiler
from stormc.tree.read import on_disk, stamp
from tests.remembered import read, text
from tests.samples import spec_text


def alter(change: Callable[[Any], object]) -> Callable[[Path], None]:
    """A change of the remembered JSON."""

    def apply(memory: Path) -> None:
        data = read(memory / FILE)
        change(data)
        (memory / FILE).write_bytes(text(data))

    return apply


def write_sound(memory: Path, text: str) -> None:
    """A memory whose digests are right, whatever it says of the compiler."""
    checksums = digest(b"").encode(), digest(b"compiler", text.encode()).encode()
    (memory / FILE).write_bytes(b"\t".join([*checksums, text.encode()]))


def flip(memory: Path, word: bytes) -> None:
    """One letter of the last line that holds a word is another one."""
    content = (memory / FILE).read_bytes()
    before, found, after = content.rpartition(word)
    (memory / FILE).write_bytes(before + found[:-1] + b"~" + after)


def link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def link_to_itself_elsewhere(directory: Path) -> None:
    moved = directory.rename(f"{directory}-moved")
    directory.symlink_to(moved.name)


def directory_for(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "0").write_text("left behind")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "removed": lambda memory: shutil.rmtree(memory),
    "empty": lambda memory: (memory / FILE).write_bytes(b""),
    "cut short": lambda memory: (memory / FILE).write_bytes((memory / FILE).read_bytes()[:-20]),
    "noise": lambda memory: (memory / FILE).write_bytes(bytes(range(256))),
    "another letter of an entry": lambda memory: flip(memory, b'"b"'),
    "another letter of the compiler": lambda memory: flip(memory, (memory / FILE).read_bytes().split(b"\n")[0]),
    "another shape": lambda memory: write_sound(memory, "[]"),
    "nested without end": lambda memory: write_sound(memory, "[" * 200_000),
    "a link to a device": lambda memory: link(memory / FILE, "/dev/zero"),
    "a link to itself": lambda memory: link(memory / FILE, FILE),
    "others may write": lambda memory: memory.chmod(0o777),
    "the directory is a link": link_to_itself_elsewhere,
    "of another compiler": alter(lambda data: data.update(compiler=["0" * 32, ""])),
    "an entry of another shape": alter(lambda data: data["apps"].update({"a.yaml": [1, 2]})),
    "no entries": alter(lambda data: data.update(apps={})),
    "entries as a list": alter(lambda data: data.update(apps=[])),
    "another digest": alter(lambda data: data["apps"]["a.yaml"].__setitem__(0, "0")),
    "a directory": lambda memory: directory_for(memory / FILE),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered repository of two apps, as working directory."""
    for name in ("a", "b"):
        (tmp_path / "specs").mkdir(exist_ok=True)
        (tmp_path / f"specs/{name}.yaml").write_text(spec_text(f"name: {name}"))
    monkeypatch.chdir(tmp_path)
    assert main(["render"]) == 0
    return tmp_path


def memory_of(root: Path) -> Path:
    directory = memory_directory(root / "rendered", root / "specs")
    assert directory is not None
    return directory


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_memory_is_ignored_and_written_anew(root: Path, case: str) -> None:
    right = tree(root / "rendered")
    DAMAGE[case](memory_of(root))
    (root / "rendered/a/kustomization.yaml").unlink()
    assert main(["render"]) == 0
    assert tree(root / "rendered") == right
    assert main(["render", "--check"]) == 0


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_heals_in_a_render_of_one_spec(root: Path, case: str) -> None:
    right = tree(root / "rendered")
    DAMAGE[case](memory_of(root))
    for app in ("b", "a"):
        (root / f"rendered/{app}/kustomization.yaml").unlink()
        assert main(["render", f"specs/{app}.yaml"]) == 0
    assert tree(root / "rendered") == right
    assert main(["render"]) == main(["render", "--check"]) == 0


def test_an_edited_file_is_seen_although_its_spec_is_remembered(root: Path) -> None:
    right = tree(root / "rendered")
    file = root / "rendered/a/kustomization.yaml"
    file.write_bytes(file.read_bytes() + b"# edited\n")
    assert main(["render", "--check"]) == 1
    assert main(["render"]) == 0
    assert tree(root / "rendered") == right


def test_nothing_is_left_in_the_work_tree(root: Path) -> None:
    assert sorted(path.name for path in root.iterdir()) == ["rendered", "specs"]
    assert (memory_of(root) / FILE).is_file()


def test_findings_of_remembered_apps_are_told_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "specs/a.yaml").write_text(spec_text("name: a\ndecode: {dataParallel: 16}"))
    assert main(["render"]) == 0
    first = capsys.readouterr().err
    assert main(["render"]) == 0
    again = capsys.readouterr().err
    assert "W036" in again and first.startswith(again)  # what follows there is the effect of the first one


SETTLED = 0.03
"""Seconds after which a write is older than what the file system's clock is coarse by."""


def _in_place(file: Path, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.write(content)


def _behind_the_clock(file: Path, content: bytes) -> None:
    """Same size, same inode, and the modification time set back to what it was."""
    before = file.stat()
    _in_place(file, content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _put_in(file: Path, content: bytes) -> None:
    other = file.with_name("other")
    other.write_bytes(content)
    shutil.copystat(file, other)
    other.replace(file)


TAMPERING: dict[str, Callable[[Path, bytes], None]] = {
    "in place": _in_place,
    "with the time set back": _behind_the_clock,
    "by another file of the same time": _put_in,
}


@pytest.mark.parametrize("settle", [0, SETTLED], ids=["at once", "later"])
@pytest.mark.parametrize("case", TAMPERING)
def test_a_change_of_equal_size_is_seen_whatever_its_time_says(root: Path, case: str, settle: float) -> None:
    time.sleep(settle)
    assert main(["render"]) == 0  # the second render believes stamps, or takes them
    for _ in range(2):
        file = root / "rendered/a/service-a-router.yaml"
        right = file.read_bytes()
        time.sleep(settle)
        TAMPERING[case](file, right.replace(b"ClusterIP", b"ClusterIQ"))
        assert file.read_bytes() != right and len(file.read_bytes()) == len(right)
        assert main(["render"]) == 0
        assert file.read_bytes() == right


def test_a_render_reads_no_file_that_the_last_one_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time.sleep(SETTLED)
    assert main(["render"]) == 0
    read: list[str] = []

    def seen(out: Path, path: str) -> bytes | None:
        read.append(path)
        return on_disk(out, path)

    monkeypatch.setattr("stormc.tree.unchanged.on_disk", seen)
    assert main(["render"]) == 0
    assert read == []
    (root / "rendered/a/service-a-router.yaml").touch()
    assert main(["render"]) == 0
    assert {Path(path).parent.name for path in read} == {"a"}


def test_a_file_as_new_as_the_clock_has_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    written = (tmp_path / "a").stat().st_mtime_ns
    assert stamp(tmp_path, ["a"], written) == ""
    assert stamp(tmp_path, ["a"], written + 1) == stamp(tmp_path, ["a"]) != ""
    assert stamp(tmp_path, ["a", "b"]) == ""


def test_a_memory_with_findings_is_believed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "specs/a.yaml").write_text(spec_text("name: a\ndecode: {dataParallel: 16}"))
    assert main(["render"]) == 0
    monkeypatch.setattr(
        "stormc.repository.repository.Repository.compile", lambda *_, **__: pytest.fail("compiled anew")
    )
    assert main(["render"]) == 0


def test_the_compiler_is_read_only_when_its_files_were_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc.tree.memory._JUST_NOW", 0)
    compiler = this_compiler()
    assert compiler.stamp and this_compiler(compiler) is compiler
    earlier = Compiler("0" * 32, "another stamp")
    assert this_compiler(earlier) == compiler
    assert this_compiler(Compiler("0" * 32, compiler.stamp)).digest == "0" * 32  # believed, and so not read


def test_files_written_just_now_have_no_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc.tree.memory._JUST_NOW", 1 << 62)
    compiler = this_compiler()
    assert compiler.stamp == "" and this_compiler(compiler) == compiler
    assert this_compiler(Compiler("0" * 32, "")) == compiler
