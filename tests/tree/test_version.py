"""Which stormc made a rendered tree, and what is said where it was another one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import stormc.actions.rendering
from stormc.__main__ import main
from stormc.tree.layout import header
from stormc.tree.version import FILE, read_versions, spec_directory
from tests.samples import spec_text

THIS = stormc.__version__


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "staging/b", "staging/c"):
        write(name)
    assert main(["render"]) == 0
    return tmp_path


def write(name: str, overlay: str = "") -> None:
    path = Path("specs", f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(spec_text(f"name: {path.stem}\nmodel: {{name: {path.stem}}}\n{overlay}"))


def as_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(stormc.actions.rendering, "__version__", version)


@pytest.mark.parametrize(("path", "directory"), [
    ("a/kustomization.yaml", ""), ("staging/b/x.yaml", "staging"), ("x/y/app/z.yaml", "x/y"),
    ("_shared/inference/x.yaml", ""), ("staging/_shared/ns/x.yaml", "staging"),
    ("staging/_gitops/argocd/wiring/x.yaml", "staging"), ("_gitops/flux/x.yaml", ""),
])  # fmt: skip
def test_the_directory_of_specs_of_a_rendered_file(path: str, directory: str) -> None:
    assert spec_directory(path) == directory


def test_the_tree_says_which_stormc_made_it_and_no_manifest_does(root: Path) -> None:
    text = (root / "rendered" / FILE).read_text()
    assert text.splitlines()[1:] == [f".: {THIS}", f"staging: {THIS}"]
    assert main(["render"]) == 0 and main(["render", "--check"]) == 0, "the file is not foreign, and not removed"
    for path in (root / "rendered").rglob("*.yaml"):
        assert THIS not in path.read_text().partition("data:\n")[0]


def test_a_version_that_renders_the_same_is_no_difference(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_version(monkeypatch, "9.1")
    assert main(["render", "--check"]) == 0
    before = (root / "rendered" / FILE).read_bytes()
    assert main(["render"]) == 0 and (root / "rendered" / FILE).read_bytes() == before


def test_another_version_is_named_instead_of_drift(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_version(monkeypatch, "9.1")
    write("staging/b", "port: 9000")
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    told = capsys.readouterr()
    assert f"rendered/.stormc:1:1: E404 rendered by stormc {THIS}, this is 9.1: " in told.err
    assert "stormc diff --compiler-base" in told.err and "change rendered" not in told.out
    assert main(["render"]) == 0
    assert f"rendered was rendered by stormc {THIS}, and now by this one" in capsys.readouterr().err
    assert read_versions(root / "rendered") == {"": THIS, "staging": "9.1"}


def test_a_part_of_a_directory_does_not_change_what_is_said_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_version(monkeypatch, "9.1")
    write("staging/b", "port: 9000")
    assert main(["render", "specs/staging/b.yaml"]) == 0
    assert read_versions(root / "rendered") == {"": THIS, "staging": THIS}
    write("staging/c", "port: 9000")
    assert main(["render", "specs/staging"]) == 0
    assert read_versions(root / "rendered") == {"": THIS, "staging": "9.1"}


def test_a_tree_of_an_earlier_release_is_ours_and_known(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "rendered" / FILE).unlink()
    for path in (root / "rendered").rglob("*.yaml"):
        first, _, rest = path.read_text().partition("\n")
        assert f"{first}\n" == header(first.split()[5].rstrip(";"))
        path.write_text(first.replace("run: stormc render", "run: make render") + "\n" + rest)
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    assert f"E404 rendered by stormc 0.1, this is {THIS}" in capsys.readouterr().err
    (root / "specs/a.yaml").unlink()
    assert main(["render"]) == 0
    assert not (root / "rendered/a").exists(), "files with the earlier first line are ours to remove"
    assert main(["render", "--check"]) == 0
    assert read_versions(root / "rendered") == {"staging": THIS}


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"staging: \x1b[31m\n", b"staging: " + b"9" * 1000, b"::\n"])
def test_what_a_branch_writes_there_is_not_believed(root: Path, content: bytes) -> None:
    (root / "rendered" / FILE).write_bytes(content)
    assert read_versions(root / "rendered") == {}
    assert main(["render", "--check"]) == 0
    assert main(["render"]) == 0
    assert read_versions(root / "rendered") == {"": THIS, "staging": THIS}


def test_a_link_there_is_foreign_and_not_written_through(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = root / "precious"
    target.write_text("mine")
    (root / "rendered" / FILE).unlink()
    (root / "rendered" / FILE).symlink_to(target)
    capsys.readouterr()
    assert main(["render"]) == 1
    assert "rendered/.stormc:1:1: E401" in capsys.readouterr().err and target.read_text() == "mine"


def test_directories_may_pin_different_versions(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = "apiVersion: stormc.dev/v1\nkind: Platform\n"
    Path("specs/staging/platform.yaml").write_text(f'{platform}stormc: "==9.1"\n')
    write("prod/d")
    capsys.readouterr()
    assert main(["render", "--check"]) == 1 and main(["validate", "specs/staging"]) == 1
    assert "E307" in capsys.readouterr().err
    assert main(["validate", "specs/prod"]) == 0
    assert main(["render", "specs/prod"]) == 0
    assert main(["render", "--check", "specs/prod"]) == 0
    assert read_versions(root / "rendered") == {"": THIS, "staging": THIS, "prod": THIS}


def test_git_sees_the_file_as_text(root: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "-A"], check=True)
    listed = subprocess.run(["git", "ls-files", "rendered/.stormc"], capture_output=True, text=True, check=True)
    assert listed.stdout == "rendered/.stormc\n"


def test_the_next_commit_must_hold_the_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "-A"], check=True)
    for specs in ([], ["specs/a.yaml"]):
        assert main(["render", "--check", "--staged", *specs]) == 0
    subprocess.run(["git", "rm", "-q", "--cached", "rendered/.stormc"], check=True)
    for specs in ([], ["specs/a.yaml"]):
        assert main(["render", "--check", "--staged", *specs]) == 1
        assert "rendered/.stormc:1:1: E403 not in Git\n    git add -A rendered/.stormc\n" in capsys.readouterr().err
