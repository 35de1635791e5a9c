"""`stormc policy`: everything that holds for an app and which line says it; and for the API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main
from stormc.reference.ids import ids
from tests.policy.matrix import APP, POLICY

TEAM = "apiVersion: stormc.dev/v1\nkind: Platform\npolicy:\n  queues: []\n"


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs/team").mkdir(parents=True)
    (tmp_path / "specs/platform.yaml").write_text(POLICY)
    (tmp_path / "specs/team/platform.yaml").write_text(TEAM)
    (tmp_path / "specs/team/app.yaml").write_text(APP)
    return tmp_path / "specs"


@pytest.mark.parametrize("app", ["app", "specs/team/app.yaml", "team/app.yaml"])
def test_every_field_names_its_file_and_line(specs: Path, app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "show", app]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'namespaces: ["inference", "team-a*"]  (specs/platform.yaml:5)' in lines
    assert lines[-1] == "queues: []  (specs/team/platform.yaml:4)"
    assert len(lines) == 16


def test_no_policy_is_said_to_be_none(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in specs.rglob("platform.yaml"):
        file.unlink()
    assert main(["policy", "show", "app"]) == 0
    assert "no policy holds for app" in capsys.readouterr().err
    assert main(["policy", "show", "other"]) == 2


def test_export_gives_policies_of_admission_that_only_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    assert main(["policy", "export", "--vap"]) == 2  # no policy
    (tmp_path / "specs/platform.yaml").write_text(POLICY)
    capsys.readouterr()
    assert main(["policy", "export", "--vap", "--name", "team"]) == 0
    objects = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [each["metadata"]["name"] for each in objects] == [
        f"team-{resource}" for resource in ("stormservices", "services", "networkpolicies") for _ in range(2)
    ]
    assert [each["spec"].get("validationActions") for each in objects] == [None, ["Audit", "Warn"]] * 3
    assert all(each["message"][:4] in ids() for policy in objects[::2] for each in policy["spec"]["validations"])
