"""What differs from a revision, in real repositories, and which apps `validate --changed` therefore looks at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stormc.failure import Failure
from stormc.history.changes import changed_files
from tests.samples import spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\nnamespace: lab\n"
STORMC = [sys.executable, "-m", "stormc"]


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def spec(name: str) -> str:
    return spec_text(f"{{name: {name}, model: {{name: {name}}}}}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two apps below a platform file, one beside it; one commit on main."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    write(root, "specs/a.yaml", spec("a"))
    write(root, "specs/lab/platform.yaml", PLATFORM)
    write(root, "specs/lab/b.yaml", spec("b"))
    write(root, "specs/lab/deep/c.yaml", spec("c"))
    write(root, "README.md", "x")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    return root


def edit(path: str, stage: bool = False) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        write(root, path, (root / path).read_text() + "# more\n")
        if stage:
            git(root, "add", path)

    return change


def add(path: str, stage: bool) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        write(root, path, "# new\n")
        if stage:
            git(root, "add", path)

    return change


def stage_and_revert(root: Path) -> None:
    before = (root / "specs/a.yaml").read_text()
    edit("specs/a.yaml", stage=True)(root)
    write(root, "specs/a.yaml", before)


def rename(root: Path) -> None:
    git(root, "mv", "specs/a.yaml", "specs/lab/z.yaml")


def branch(root: Path) -> None:
    """A commit on a branch, while main went on with another file."""
    git(root, "checkout", "-qb", "topic")
    edit("specs/a.yaml", stage=True)(root)
    git(root, "commit", "-qm", "two")
    git(root, "checkout", "-q", "main")
    edit("specs/lab/b.yaml", stage=True)(root)
    git(root, "commit", "-qm", "three")
    git(root, "checkout", "-q", "topic")


def ignored(root: Path) -> None:
    write(root, ".gitignore", "*.tmp.yaml\n")
    write(root, "specs/a.tmp.yaml", "# x\n")


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda root: None, set()),
    "unstaged": (edit("specs/a.yaml"), {"a.yaml"}),
    "staged": (edit("specs/lab/b.yaml", stage=True), {"lab/b.yaml"}),
    "staged, then reverted in the working tree": (stage_and_revert, {"a.yaml"}),
    "untracked": (add("specs/new/n.yaml", stage=False), {"new/n.yaml"}),
    "added": (add("specs/n.yaml", stage=True), {"n.yaml"}),
    "name of other letters": (add("specs/名 x.yaml", stage=True), {"名 x.yaml"}),
    "deleted": (lambda root: (root / "specs/a.yaml").unlink(), {"a.yaml"}),
    "deleted and staged": (lambda root: git(root, "rm", "-q", "specs/lab/platform.yaml"), {"lab/platform.yaml"}),
    "renamed": (rename, {"a.yaml", "lab/z.yaml"}),
    "elsewhere": (edit("README.md"), set()),
    "ignored": (ignored, set()),
    "committed on a branch": (branch, {"a.yaml"}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_staged_unstaged_untracked_and_deleted_files_differ(repository: Path, case: str) -> None:
    change, expected = CHANGES[case]
    change(repository)
    assert changed_files(repository / "specs") == expected


def test_a_base_is_compared_as_it_is(repository: Path) -> None:
    branch(repository)
    assert changed_files(repository / "specs", "main") == {"a.yaml", "lab/b.yaml"}
    assert changed_files(repository / "specs", "HEAD") == set()
    assert changed_files(repository / "specs", "HEAD~1") == {"a.yaml"}


def test_the_default_branch_of_the_remote_comes_before_main(repository: Path, tmp_path: Path) -> None:
    git(repository, "branch", "-m", "main", "trunk")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    git(clone, "checkout", "-qb", "topic")
    edit("specs/a.yaml", stage=True)(clone)
    git(clone, "commit", "-qm", "two")
    git(clone, "branch", "main")
    assert changed_files(clone / "specs") == {"a.yaml"}


def test_a_shallow_clone_is_compared_with_the_default_branch(repository: Path, tmp_path: Path) -> None:
    branch(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", repository.as_uri(), str(clone))
    git(clone, "remote", "set-head", "origin", "main")
    assert changed_files(clone / "specs") == {"a.yaml", "lab/b.yaml"}


def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    add("specs/a.yaml", stage=True)(tmp_path)
    add("specs/b.yaml", stage=False)(tmp_path)
    assert changed_files(tmp_path / "specs") == {"a.yaml", "b.yaml"}


def test_the_specs_may_be_the_whole_repository(repository: Path) -> None:
    git(repository / "specs", "init", "-q")
    assert changed_files(repository / "specs") == {"a.yaml", "lab/platform.yaml", "lab/b.yaml", "lab/deep/c.yaml"}


@pytest.mark.parametrize("base", ["nowhere", "--output=x", "HEAD:specs/a.yaml", "main..main"])
def test_a_base_that_is_no_commit_fails(repository: Path, base: str) -> None:
    with pytest.raises(Failure, match="names no commit"):
        changed_files(repository / "specs", base)
    assert not (repository / "specs/x").exists()


def validate(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home = {"PYTHONPATH": str(Path(__file__).parents[2] / "compiler"), "GIT_CEILING_DIRECTORIES": str(root.parent)}
    command = [*STORMC, "validate", *words]
    return subprocess.run(command, cwd=root, env=os.environ | home, capture_output=True, text=True, timeout=600)


APPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda root: None, "0 apps: no findings"),
    "one app": (edit("specs/a.yaml"), "1 app: no findings"),
    "a platform file": (edit("specs/lab/platform.yaml"), "2 apps: no findings"),
    "a platform file that is gone": (lambda root: (root / "specs/lab/platform.yaml").unlink(), "2 apps: no findings"),
    "an app that is gone": (lambda root: (root / "specs/a.yaml").unlink(), "0 apps: no findings"),
    "a renamed app": (rename, "1 app: no findings"),
    "a file that is no spec": (add("specs/notes.txt", stage=True), "0 apps: no findings"),
    "a namesake of an unchanged app": (lambda root: write(root, "specs/x.yaml", spec("a")), "1 app: 1 error"),
}


@pytest.mark.parametrize("case", APPS)
def test_changed_looks_at_the_apps_that_a_change_touches(repository: Path, case: str) -> None:
    change, summary = APPS[case]
    change(repository)
    done = validate(repository, "--changed")
    assert done.stderr.splitlines() == [summary]
    assert done.returncode == (1 if "error" in summary else 0)


def test_a_profile_touches_every_app(repository: Path) -> None:
    profile = Path(__file__).parents[2] / "compiler/stormc/facts/hardware/atlas-800i-a2.yaml"
    write(repository, "specs/profiles/lab.yaml", profile.read_text().replace("atlas-800i-a2", "lab"))
    assert validate(repository, "--changed").stderr == "3 apps: no findings\n"
    assert validate(repository, "specs/profiles/lab.yaml").stderr == "3 apps: no findings\n"


def test_what_did_not_change_is_not_looked_at(repository: Path) -> None:
    write(repository, "specs/a.yaml", "port: none\n")
    git(repository, "commit", "-qam", "broken")
    edit("specs/lab/b.yaml")(repository)
    assert validate(repository, "--changed").returncode == 0
    assert validate(repository, "--changed", "--base", "HEAD~1").returncode == 1


WRONG = {
    "no repository": (["--changed", "--specs", "../outside/specs"], "is in no Git repository"),
    "no commit": (["--changed", "--base", "nowhere"], "nowhere names no commit"),
    "no specs": (["--changed", "--specs", "none"], "none is in no Git repository"),
    "base alone": (["--base", "main"], "--base goes with --changed"),
    "specs too": (["--changed", "specs/a.yaml"], "give no SPEC with it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_compared_is_one_line(repository: Path, tmp_path: Path, case: str) -> None:
    write(tmp_path, "outside/specs/a.yaml", spec("a"))
    words, message = WRONG[case]
    done = validate(repository, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_git_is_loaded_for_changed_only(repository: Path) -> None:
    program = "import sys; from stormc.__main__ import main; main(sys.argv[1:]); print('git' in sys.modules)"
    outputs = []
    for words in (["validate"], ["validate", "--changed"]):
        done = subprocess.run([sys.executable, "-c", program, *words], cwd=repository, capture_output=True, text=True)
        outputs.append(done.stdout.strip())
    assert outputs == ["False", "True"]
