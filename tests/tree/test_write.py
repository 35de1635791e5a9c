"""Writing for real: killed renders, several at once, foreign files, full disks; whole files or none."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stormc.__main__ import main
from tests.samples import spec_text
from tests.tree.processes import Done, Tree, render, start, tree, write


def specs(root: Path, ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        write(root, f"specs/team/{name}.yaml", spec_text(f"name: {name}\nport: {port}\nmodel: {{name: {name}}}"))


def rendered(root: Path, ports: Mapping[str, int]) -> Tree:
    specs(root, ports)
    done = render(root)
    assert done.code == 0, done.err
    return tree(root / "rendered")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two rendered apps."""
    rendered(tmp_path, {"a": 8000, "b": 8000})
    return tmp_path


WRITING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def render_until(root: Path, instant: int) -> bool:
    """A render in a process that kills itself before its nth change of the file system; whether it came so far."""
    child = os.fork()
    if not child:
        left = instant

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if opens or event in WRITING:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            os.chdir(root)
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            sys.addaudithook(count)
            os._exit(main(["render", "-j", "1"]))
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


NEVER = 1 << 30


def test_a_render_killed_at_any_change_leaves_whole_files_and_the_next_one_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [{"a": 8000, "b": 8000, "c": 8000}, {"a": 9000, "b": 8000, "d": 9000}]
    versions: list[Tree] = []
    for version in (0, 1):
        (tmp_path / "specs/team/c.yaml").unlink(missing_ok=True)
        versions.append(rendered(tmp_path, ports[version]))
    monkeypatch.chdir(tmp_path)
    assert main(["render", "--check"]) == 0  # imports what the forked renders need
    instant = mixed = 0
    while True:
        old, new = versions[instant % 2 - 1], versions[instant % 2]
        for name in "cd":
            (tmp_path / f"specs/team/{name}.yaml").unlink(missing_ok=True)
        specs(tmp_path, ports[instant % 2])
        was_killed = render_until(tmp_path, instant)
        found = tree(tmp_path / "rendered")
        torn = {path for path in old.keys() | new.keys() if found.get(path) not in (old.get(path), new.get(path))}
        assert not torn and not found.keys() - old.keys() - new.keys()
        mixed += found not in (old, new)
        if not was_killed:
            break
        assert not render_until(tmp_path, NEVER)
        assert tree(tmp_path / "rendered") == new, f"not healed after {instant} changes"
        instant += 1
    assert found == new
    assert instant >= 50 and mixed >= 20


def test_a_render_killed_at_any_time_leaves_whole_files(root: Path) -> None:
    names = ("a", "b")
    versions = [rendered(root, dict.fromkeys(names, port)) for port in (8000, 9000)]
    for turn in range(8):
        specs(root, dict.fromkeys(names, 8000 + 1000 * (turn % 2)))
        child = start(root)
        try:
            child.wait(0.03 * turn)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        found = tree(root / "rendered")
        assert found.keys() == versions[0].keys()
        assert all(content in (versions[0][path], versions[1][path]) for path, content in found.items())
    assert rendered(root, dict.fromkeys(names, 9000)) == versions[1]


def test_renders_at_once_do_not_disturb_each_other(root: Path) -> None:
    versions = [rendered(root, {"a": port, "b": port}) for port in (8000, 9000)]
    for turn in range(3):
        port = 8000 + 1000 * (turn % 2)
        specs(root, {"a": port, "b": port})
        children = [start(root) for _ in range(4)] + [start(root, "specs/team/a.yaml")]
        assert [(done.code, "stormc:" in done.err) for done in map(Done, children)] == [(0, False)] * 5
        assert tree(root / "rendered") == versions[turn % 2]


def test_a_removed_spec_takes_its_directory_along(root: Path) -> None:
    (root / "specs/team/b.yaml").unlink()
    done = render(root)
    assert done.code == 0 and "removed" in done.out
    apps = {path.split("/")[1] for path in tree(root / "rendered") if path.startswith("team/")}
    assert apps == {"a"}
    assert not (root / "rendered/team/b").exists()


def test_an_app_that_moved_leaves_nothing_behind(root: Path) -> None:
    write(root, "specs/other/b.yaml", (root / "specs/team/b.yaml").read_text())
    (root / "specs/team/b.yaml").unlink()
    assert render(root).code == 0
    assert sorted(p.name for p in (root / "rendered").iterdir()) == [".stormc", "_shared", "other", "team"]
    assert not (root / "rendered/team/b").exists()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a file at the top": lambda out: write(out, "notes.txt", "mine"),
    "a manifest in an app's directory": lambda out: write(out, "team/a/extra.yaml", "kind: Secret\n"),
    "a file in a removed app's directory": lambda out: write(out, "team/b/extra.yaml", "kind: Secret\n"),
    "an empty file": lambda out: write(out, "team/a/empty.yaml", ""),
    "a hidden file": lambda out: write(out, "team/.hidden", "mine"),
    "a link": lambda out: (out / "team/a/link.yaml").symlink_to("kustomization.yaml"),
    "a link to a directory": lambda out: (out / "team/more").symlink_to("a"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_not_ours_is_a_finding_and_stays(root: Path, case: str) -> None:
    FOREIGN[case](root / "rendered")
    (root / "specs/team/b.yaml").unlink()
    before = tree(root / "rendered")
    done = render(root)
    assert done.code == 1
    assert "E401" in done.err and "nothing was written" in done.err
    assert tree(root / "rendered") == before


OBSTACLES: dict[str, Callable[[Path], object]] = {
    "a file without our header": lambda out: write(out, "team/a/kustomization.yaml", "resources: []\n"),
    "a link for a file": lambda out: replace(out / "team/a/kustomization.yaml").symlink_to("/etc/passwd"),
    "a directory for a file": lambda out: write(out, "team/a/kustomization.yaml/x", "mine")
    if replace(out / "team/a/kustomization.yaml") else None,
}  # fmt: skip


def replace(path: Path) -> Path:
    path.unlink()
    return path


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_stands_in_the_way_is_a_finding_and_stays(root: Path, case: str) -> None:
    OBSTACLES[case](root / "rendered")
    before = tree(root / "rendered")
    done = render(root)
    assert done.code == 1 and "E401" in done.err and "kustomization.yaml" in done.err
    assert tree(root / "rendered") == before


def test_an_error_in_any_spec_stops_every_write(root: Path) -> None:
    before = tree(root / "rendered")
    specs(root, {"a": 9000})
    write(root, "specs/team/b.yaml", "name: [\n")
    done = render(root)
    assert (done.code, done.out) == (1, "")
    assert "specs/team/b.yaml:" in done.err and done.err.endswith("1 error; nothing was written\n")
    assert tree(root / "rendered") == before


def test_only_changed_files_are_touched(root: Path) -> None:
    def identities() -> dict[Path, tuple[int, int]]:
        files = [p for p in (root / "rendered").rglob("*") if p.is_file()]
        return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}

    before, contents = identities(), tree(root / "rendered")
    specs(root, {"a": 9000})
    assert render(root).code == 0
    changed = {root / "rendered" / p for p, content in tree(root / "rendered").items() if content != contents[p]}
    assert changed and {p for p, identity in identities().items() if identity != before[p]} == changed
    assert not [p for p in changed if "/team/b/" in str(p)]
    assert render(root).out.startswith("2 apps: 0 files written, ")


def test_check_writes_nothing_and_lists_everything(root: Path) -> None:
    specs(root, {"a": 9000, "c": 8000})
    (root / "specs/team/b.yaml").unlink()
    before = tree(root)
    done = render(root, "--check")
    assert done.code == 1 and "run: stormc render" in done.err
    assert tree(root) == before
    before = tree(root / "rendered")
    listed = {tuple(line.split(" ", 1)) for line in done.out.splitlines() if line.startswith(("cr", "ch", "re"))}
    assert render(root).code == 0
    after = tree(root / "rendered")
    assert listed == {
        *(("create", f"rendered/{p}") for p in after.keys() - before.keys()),
        *(("remove", f"rendered/{p}") for p in before.keys() - after.keys()),
        *(("change", f"rendered/{p}") for p in after.keys() & before.keys() if after[p] != before[p]),
    }
    again = render(root, "--check")
    assert (again.code, again.out) == (0, "")


def test_check_of_nothing_rendered_creates_nothing(tmp_path: Path) -> None:
    specs(tmp_path, {"a": 8000})
    assert render(tmp_path, "--check").code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["specs"]


def test_arguments_render_only_their_apps(root: Path) -> None:
    before = tree(root / "rendered")
    specs(root, {"a": 9000, "b": 9000, "c": 9000})
    done = render(root, "specs/team/a.yaml", "specs/team/c.yaml")
    assert done.code == 0 and done.out.startswith("2 apps: ")
    after = tree(root / "rendered")
    assert {p.split("/")[1] for p in after if after[p] != before.get(p)} == {"a", "c"}
    assert before.keys() <= after.keys()


def test_arguments_leave_an_app_alone_that_renders_below_theirs(root: Path) -> None:
    write(root, "specs/team/a/z.yaml", spec_text("name: z\nmodel: {name: z}"))
    assert render(root).code == 0
    before = tree(root / "rendered")
    assert ", 0 removed" in render(root, "specs/team/a.yaml").out
    assert tree(root / "rendered") == before


def out_is_a_file(root: Path) -> None:
    (root / "rendered").rename(root / "other")
    write(root, "rendered", "mine")


def out_is_a_link(root: Path) -> None:
    (root / "rendered").rename(root / "other")
    (root / "rendered").symlink_to("other")


def full_disk() -> None:
    """No file may grow over 2 KiB; without the signal, writing fails as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))


FAILING: dict[str, tuple[Callable[[Path], object], list[str], Callable[[], None] | None]] = {
    "nothing can be made beside out": (lambda root: None, ["--out", "/proc/rendered"], None),
    "out is a file": (out_is_a_file, [], None),
    "out is a link": (out_is_a_link, [], None),
    "the disk is full": (lambda root: None, [], full_disk),
    "out lies in the specs": (lambda root: None, ["--out", "specs/out"], None),
    "the specs lie in out": (lambda root: None, ["--out", "."], None),
    "there are no specs": (lambda root: None, ["--specs", "none"], None),
    "the spec does not exist": (lambda root: None, ["specs/none.yaml"], None),
    "the spec is elsewhere": (lambda root: None, ["/etc/passwd"], None),
}


@pytest.mark.parametrize("case", FAILING)
def test_what_cannot_be_done_is_one_line(root: Path, case: str) -> None:
    prepare, words, limit = FAILING[case]
    specs(root, {"a": 9000})
    prepare(root)
    before = tree(root / "rendered")
    done = render(root, *words, limit=limit)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stormc: ") and done.err.count("\n") == 1 and "None" not in done.err
    assert tree(root / "rendered") == before
    if limit:
        assert render(root).code == 0
        assert tree(root / "rendered") != before


@pytest.mark.parametrize("word", ["none.yaml", "specs/none.yaml"])
def test_a_spec_that_does_not_exist_is_said_so(root: Path, word: str) -> None:
    specs(root, {"a": 9000})
    assert render(root, word).err == f"stormc: {word} does not exist\n"
