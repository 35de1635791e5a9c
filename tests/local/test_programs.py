"""run-local runs stormc's own programs; what else an app would run on this machine, a person has to allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.__main__ import main
from stormc.failure import Failure
from stormc.local.programs import foreign_programs, refuse_traversal
from stormc.tree.rendered_app import read_manifests
from tests.samples import spec_text


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rendered directory of an app with groups of pods, whose probe is a shell command of stormc's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/app.yaml").write_text(spec_text())
    assert main(["render"]) == 0
    return tmp_path / "rendered/qwen3-moe"


def changed(app: Path, kind: str, change: Any) -> list[Any]:
    """The manifests of the app with one of them changed."""
    manifests: list[Any] = yaml.safe_load(yaml.safe_dump(read_manifests(app)))
    change(next(manifest for manifest in manifests if manifest["kind"] == kind))
    return manifests


def container(storm: Any) -> Any:
    return storm["spec"]["template"]["spec"]["roles"][0]["template"]["spec"]["containers"][0]


def test_what_stormc_renders_runs_without_a_question(app: Path) -> None:
    manifests = read_manifests(app)
    refuse_traversal(manifests)
    assert foreign_programs(manifests) == []


FOREIGN: dict[str, tuple[str, Any]] = {
    "a command": ("StormService", lambda storm: container(storm).update(command=["sh", "-c", "id"])),
    "another program of the launcher": ("StormService", lambda storm: container(storm).update(args=["--", "sh", "id"])),
    "arguments without a program": ("StormService", lambda storm: container(storm).update(args=[])),
    "a variable": ("StormService", lambda storm: container(storm)["env"].append({"name": "LD_PRELOAD", "value": "x"})),
    "a probe": ("StormService", lambda storm: container(storm).update(livenessProbe={"exec": {"command": ["id"]}})),
    "a directory of work": ("StormService", lambda storm: container(storm).update(workingDir="/mnt/models")),
    "the launcher": ("ConfigMap", lambda config: config["data"].update({next(iter(config["data"])): "import os"})),
    "a file beside the launcher": ("ConfigMap", lambda config: config["data"].update({"argparse.py": "import os"})),
}  # fmt: skip


@pytest.mark.parametrize("case", FOREIGN)
def test_what_else_would_run_is_named(app: Path, case: str) -> None:
    kind, change = FOREIGN[case]
    assert len(foreign_programs(changed(app, kind, change))) == 1


LEADING_OUT: dict[str, tuple[str, Any]] = {
    "a mount": ("StormService", lambda storm: container(storm)["volumeMounts"][0].update(mountPath="/../x")),
    "a directory of work": ("StormService", lambda storm: container(storm).update(workingDir="/a/../../x")),
    "a role": ("StormService", lambda storm: storm["spec"]["template"]["spec"]["roles"][0].update(name="../x")),
    "a file": ("ConfigMap", lambda config: config["data"].update({"../x": "y"})),
}  # fmt: skip


@pytest.mark.parametrize("case", LEADING_OUT)
def test_nothing_is_written_outside_of_the_run(app: Path, case: str) -> None:
    kind, change = LEADING_OUT[case]
    with pytest.raises(Failure):
        refuse_traversal(changed(app, kind, change))


def test_without_a_terminal_nothing_is_run(app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "specs/app.yaml").write_text(spec_text(f"engine: {{command: [touch, {marker}]}}"))
    assert main(["render"]) == 0
    assert main(["run-local", str(app), "--ask", "Hello"]) == 2
    assert "--run-commands" in capsys.readouterr().err
    assert not marker.exists()
