"""What `deploy`, `status` and `run-local` read of a rendered directory: manifests of stormc, in regular files of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.failure import Failure
from stormc.tree.rendered_app import read_manifests
from tests.samples import spec_text


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/app.yaml").write_text(spec_text())
    assert main(["render"]) == 0
    return tmp_path / "rendered/qwen3-moe"


def listing(name: str) -> Callable[[Path], object]:
    """Puts a name into the kustomization."""
    file = "kustomization.yaml"
    return lambda app: (app / file).write_text(
        (app / file).read_text().replace("  - stormservice", f"  - {name}\n  - stormservice", 1)
    )


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Puts something else in the place of the StormService's file."""

    def replace(app: Path) -> object:
        file = next(app.glob("stormservice-*.yaml"))
        file.rename(app.parent / "elsewhere.yaml")
        return make(file)

    return replace


def rewritten(old: str, new: str) -> Callable[[Path], object]:
    def rewrite(app: Path) -> object:
        file = next(app.glob("stormservice-*.yaml"))
        assert old in file.read_text()
        return file.write_text(file.read_text().replace(old, new, 1))

    return rewrite


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a file outside": listing("../../specs/app.yaml"),
    "an absolute path": listing("/etc/passwd"),
    "a directory": listing(".."),
    "a link": replaced(lambda file: file.symlink_to(file.parent.parent / "elsewhere.yaml")),
    "a named pipe": replaced(lambda file: os.mkfifo(file)),
    "a device": replaced(lambda file: file.symlink_to("/dev/zero")),
    "roles that are no list": rewritten("roles:\n", "roles: x\n      others:\n"),
    "another kind": rewritten("kind: StormService", "kind: ClusterRoleBinding"),
    "no namespace": rewritten("  namespace: inference\n", ""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_manifest_of_stormc_is_not_read(app: Path, case: str) -> None:
    assert len(read_manifests(app)) > 3
    HOSTILE[case](app)
    with pytest.raises(Failure):
        read_manifests(app)
