"""stormc init: what it writes is valid on every hardware, and nothing else is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.repository.profiles import builtin_names, builtin_profile


@pytest.mark.parametrize("hardware", builtin_names())
def test_the_first_spec_has_no_finding_but_what_is_not_known_of_the_hardware(
    hardware: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = builtin_profile(hardware)
    assert profile is not None
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/platform.yaml").write_text(
        f'apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "{profile.mindcluster}"\n'
    )
    assert main(["init", "first", "--hardware", hardware]) == 0
    capsys.readouterr()
    assert main(["validate"]) == 0
    found = set(re.findall(r"[EWI]\d{3}", capsys.readouterr().out))
    assert ("W089" in found) == (not profile.requests), "what those nodes have is not published"
    assert found <= {"I731", "W089"}, "I731: StormService is not documented there"
    assert main(["render"]) == 0
    assert (tmp_path / "rendered/first/stormservice-first.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["first", "--hardware", "atlas-800i-a22"], 2, "did you mean atlas-800i-a2?"),
        (["Bad_Name", "--hardware", "atlas-800i-a2"], 1, "E206 name 'Bad_Name' has the wrong form"),
        (["../up", "--hardware", "atlas-800i-a2"], 2, "is not below specs"),
        (["first", "--hardware", "atlas-800i-a2", "--model-path", "weights"], 1, "E206 model.path"),
        (["old", "--hardware", "atlas-800i-a2"], 2, "old.yaml exists already"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    arguments: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/old.yaml").write_text("mine")
    assert main(["init", *arguments]) == code
    assert told in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.rglob("*.yaml")} == {"old.yaml": "mine"}


def test_the_schema_is_named_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/app.schema.json").write_text("{}")
    assert main(["init", "first", "--hardware", "atlas-800i-a2", "--namespace", "there", "--image", "a:1"]) == 0
    text = (tmp_path / "specs/first.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema/app.schema.json\n")
    assert "\nnamespace: there\n" in text
    assert "\nimage: a:1\n" in text


def test_the_first_spec_has_its_canonical_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for hardware in ("atlas-800i-a2", "atlas-900-a3-superpod"):
        assert main(["init", f"on-{hardware}", "--hardware", hardware]) == 0
    assert main(["fmt", "--check"]) == 0
