"""docs/own-repository.md, executed: real git, real pre-commit, the commands of the page in their order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main
from stormc.text.new_repository import requirement
from tests.own_repository import walk


def test_the_page_from_top_to_bottom(tmp_path: Path) -> None:
    walk(tmp_path, Path(sys.executable).parent)


@pytest.mark.parametrize(("ci", "place"), [("github", ".github/workflows/stormc.yaml"), ("gitlab", ".gitlab-ci.yml")])
def test_ci_runs_commands_that_exist(
    ci: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--repo", "mine", "--ci", ci, "--from", "stormc @ file:///x"]) == 0
    assert (tmp_path / "mine/requirements.txt").read_text().endswith("\nstormc @ file:///x\n")
    text = (tmp_path / "mine" / place).read_text()
    assert yaml.safe_load(text)
    monkeypatch.chdir(tmp_path / "mine")
    commands = re.findall(r"(?:run: |- )(stormc [^>|\n]*)", text)
    assert {command.split()[1] for command in commands} == {"validate", "render", "fmt", "diff"}
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    assert main(["render"]) == 0
    for command in commands:
        assert main(command.split()[1:]) == 0, command
    capsys.readouterr()


def test_nothing_is_written_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    assert main(["init", "--repo", "."]) == 2
    assert "README.md exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


PINS = [
    (">=0.0.1", 0, ""),
    (">=900", 1, "E307 this is stormc"),
    ("~=900.1", 1, "E307"),
    ("latest", 1, "E206 stormc 'latest' is no range of versions"),
]


@pytest.mark.parametrize(("pin", "code", "told"), PINS)
def test_a_pin_refuses_other_versions(
    pin: str, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--repo", "."]) == 0
    platform = tmp_path / "specs/staging/platform.yaml"
    platform.write_text(f'{platform.read_text()}stormc: "{pin}"\n')
    capsys.readouterr()
    assert main(["validate"]) == code
    out = capsys.readouterr().out
    assert told in out and (not told or "specs/staging/platform.yaml:6:9" in out)


GIT = '"vcs_info": {"vcs": "git", "commit_id": "abc"'
ORIGINS = [
    ("", "stormc==1.2.3"),
    ("not JSON", "stormc==1.2.3"),
    ("[]", "stormc==1.2.3"),
    ('{"url": "file:///home/me/stormc", "dir_info": {"editable": true}}', "stormc==1.2.3"),
    ('{"url": "https://git.example.com/stormc", ' + GIT + ', "requested_revision": "v1.2.3"}}',
     "stormc @ git+https://git.example.com/stormc@v1.2.3"),
    ('{"url": "ssh://git@git.example.com/stormc", ' + GIT + "}}", "stormc @ git+ssh://git@git.example.com/stormc@abc"),
    ('{"url": "https://files.example.com/stormc-1.2.3-py3-none-any.whl", "archive_info": {}}',
     "stormc @ https://files.example.com/stormc-1.2.3-py3-none-any.whl"),
]  # fmt: skip


@pytest.mark.parametrize(("direct_url", "wanted"), ORIGINS)
def test_ci_installs_stormc_from_where_this_one_came(direct_url: str, wanted: str) -> None:
    assert requirement(direct_url, "1.2.3") == wanted
