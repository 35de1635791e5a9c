"""`stormc capacity` and `stormc what-if` as a user types them."""

from __future__ import annotations

import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stormc.__main__ import main
from tests.samples import spec_text

PLATFORM = """\
apiVersion: stormc.dev/v1
kind: Platform
superPodSize: 4
reserveNodes: {reserved}
inventory:
  atlas-900-a3-superpod: {{nodes: {nodes}}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/a.yaml").write_text(spec_text("name: a\nmodel: {name: a}"))
    inventory(tmp_path, 4, 0)
    return tmp_path


def inventory(root: Path, nodes: int, reserved: int) -> None:
    (root / "specs/platform.yaml").write_text(PLATFORM.format(nodes=nodes, reserved=reserved))


def test_capacity_counts_nodes_gangs_and_what_is_left(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(root, 6, 0)
    assert main(["capacity"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [".", "atlas-900-a3-superpod", "6", "96", "64", "32", "0"]
    assert lines[2] == ". atlas-900-a3-superpod: all gangs fit at once"
    assert main(["capacity", "--format", "json"]) == 0
    (pool,) = json.loads(capsys.readouterr().out)["pools"]
    assert (pool["used"], pool["free"], pool["verdict"], pool["missing"]) == (64, 32, "fits", [])


def test_nodes_in_reserve_are_the_last_ones(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(root, 4, 1)
    assert main(["capacity"]) == 0
    out = capsys.readouterr().out
    assert "but only in nodes that the scheduler keeps in reserve" in out
    assert "in reserve: 1 node of each super pod of 4" in out
    inventory(root, 3, 1)
    assert main(["capacity"]) == 1
    out = capsys.readouterr().out
    assert "the gangs cannot all run at once" in out
    assert "no place for inference/a" in out


def test_capacity_shows_what_apps_took_at_the_base(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "specs/a.yaml").write_text(spec_text("name: a\nmodel: {name: a}\nprefill: {replicas: 1}"))
    assert main(["capacity", "--base", "HEAD"]) == 0
    assert ". atlas-900-a3-superpod: 64 NPUs used before, 48 during the rollout, 48 after it" in capsys.readouterr().out


def test_old_pods_hold_their_npus_while_an_app_moves_to_another_name(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "specs/a.yaml").write_text(spec_text("name: b\nmodel: {name: b}"))
    assert main(["capacity", "--base", "HEAD", "--format", "json"]) == 0
    (pool,) = json.loads(capsys.readouterr().out)["pools"]
    assert (pool["usedBefore"], pool["used"], pool["verdict"]) == (64, 64, "fits")
    assert pool["verdictDuring"] == "too_small"
    assert main(["capacity", "--base", "HEAD"]) == 0
    out = capsys.readouterr().out
    assert ". atlas-900-a3-superpod, during the rollout: the gangs cannot all run at once" in out
    assert "  inference/a: its old pods hold their NPUs until they are pruned" in out
    assert main(["diff", "--base", "HEAD", "--format", "markdown"]) == 0
    comment = capsys.readouterr().out
    assert "| . | atlas-900-a3-superpod | 64 | 64 | 64 | 64 | during the rollout: the gangs cannot all run" in comment


def test_an_app_with_errors_is_not_counted_and_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "specs/b.yaml").write_text(spec_text("name: b\ndecode: {dataParallel: 31}"))
    assert main(["capacity"]) == 1
    assert "not counted: specs/b.yaml" in capsys.readouterr().err


def test_the_picture_is_well_formed_and_names_every_app(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capacity", "--format", "html"]) == 0
    page = capsys.readouterr().out
    opened: list[str] = []
    filled: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            opened.append(tag)
            if tag == "rect" and dict(attrs).get("fill"):
                filled.append(str(dict(attrs)["fill"]))

    Reader().feed(page)
    assert opened.count("svg") == 1 and len(filled) == 4
    assert page.count("inference/a") >= 5 and "http" not in page


def test_what_if_as_a_table_and_as_one_fault(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["what-if", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "inference/a" and lines[2].startswith("FAULT") and len(lines) == 3 + 8
    assert lines[1].startswith("one chip fault takes down the whole service: at decode;")
    assert main(["what-if", "specs/a.yaml", "--fail", "chip", "--at", "decode/0/1"]) == 0
    one = capsys.readouterr().out
    assert "MindCluster deletes and reschedules all pods of the instance; 2 pods" in one
    assert "0 NPUs of the pool are spare, which is too few" in one
    assert main(["what-if", "inference/a", "--fail", "process", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["faults"]
    assert [(each["role"], each["retries"]) for each in found] == [("decode", 10), ("prefill", None)]


WRONG = [
    (["b"], "no app b"),
    (["a", "--at", "prefil"], "did you mean prefill?"),
    (["a", "--at", "decode/1"], "no replica 1 of decode; there are 1"),
    (["a", "--at", "decode/0/2"], "no pod 2 of decode; there are 2"),
    (["a", "--at", "decode/0/0/0"], "more parts"),
]


@pytest.mark.parametrize(("words", "line"), WRONG)
def test_a_place_that_no_role_has_is_a_failure(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main(["what-if", *words]) == 2
    assert line in capsys.readouterr().err
