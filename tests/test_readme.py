"""What the README and docs/ show is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.__main__ import main
from stormc.load.releases import aibrix
from stormc.model import schema
from stormc.model.profile import Platform
from stormc.model.proxy_fields import PROXY
from stormc.record import replace
from stormc.rules.names.length import longest_grouped, longest_single
from tests.samples import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC_DOC = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text, flags=re.S)


def contains(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    """Whether every field of the part stands in the whole."""
    return all(
        contains(whole.get(key) or {}, value) if isinstance(value, dict) else whole.get(key) == value
        for key, value in part.items()
    )


def test_the_specs_and_what_one_becomes_are_the_committed_ones() -> None:
    shown, excerpt, larger = blocks(README)
    for block, file in ((shown, "my-test"), (larger, "deepseek-v3.2")):
        committed = yaml.safe_load((ROOT / f"specs/a3/{file}.yaml").read_text(encoding="utf-8"))
        assert contains(committed, yaml.safe_load(block))
    assert excerpt in (ROOT / "rendered/a3/my-test/stormservice-my-test.yaml").read_text(encoding="utf-8")


def test_the_mistake_reads_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    spec = tmp_path / "specs/a3/my-test.yaml"
    spec.write_text(spec.read_text().replace("dataParallel: 32", "dataParallel: 31"))
    monkeypatch.chdir(tmp_path)
    assert main(["render"]) == 1
    printed = capsys.readouterr().err
    shown = re.search(r"^    (specs/.*)\n        (.*)$", README, flags=re.M)
    assert shown
    assert shown[1] in printed
    assert shown[2] in printed


def test_the_comment_is_what_the_tool_says_of_that_commit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = re.findall(r"`stormc (diff --base [^`]*--format markdown)`", README)
    known = subprocess.run(["git", "cat-file", "-e", f"{command.split()[2]}^{{commit}}"], cwd=ROOT, check=False)
    if known.returncode:
        pytest.skip("this clone has not the whole history: git fetch --unshallow")
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    quoted = [line.removeprefix(">").removeprefix(" ") for line in README.splitlines() if line.startswith(">")]
    assert len(quoted) > 10
    assert [line for line in quoted if line not in printed] == []


def test_the_targets_and_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)`?", README):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_every_field_is_documented_with_its_limits() -> None:
    for table in (schema.APP, schema.ROLE, schema.FAULTS, schema.ENGINE, PROXY, schema.PLATFORM):
        for field in table:
            if field not in ("apiVersion", "kind"):
                assert re.search(rf"\b{field}\b", SPEC_DOC), field
    single = [longest_single(app(), replace(Platform(), aibrix=aibrix(release))) for release in ("v0.5.0", "v0.6.0")]
    grouped = [longest_grouped(roles) for roles in (["prefill", "decode"], ["decode"])]
    assert f"at most {single[0]} characters, {single[1]} from AIBrix v0.6 on;" in SPEC_DOC
    assert f"in prefill {grouped[0]}, in decode alone {grouped[1]} |" in SPEC_DOC
    for section in ("engine", "proxy", "faults"):
        for field, rules in schema.SECTIONS[section].items():
            if isinstance(rules.get("default"), int):
                assert re.search(rf"`?{field}`?[ |]+{rules['default']}", SPEC_DOC), field


def test_the_documented_documents_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, platform = blocks(SPEC_DOC)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    (tmp_path / "specs/platform.yaml").write_text(platform)
    spec = tmp_path / "specs/a3/my-test.yaml"
    spec.write_text(spec.read_text() + overrides)
    monkeypatch.chdir(tmp_path)
    assert main(["render"]) == 0
    router = yaml.safe_load((tmp_path / "rendered/a3/my-test/service-my-test-router.yaml").read_text())
    assert router["spec"]["type"] == "NodePort"
    assert router["metadata"]["namespace"] == "inference"


def test_the_demo_prints_what_is_shown() -> None:
    (recipe,) = re.findall(r"^demo:.*\n\t@\$\(BIN\)/stormc (.*)$", (ROOT / "Makefile").read_text(), flags=re.M)
    command = [sys.executable, "-m", "stormc", *shlex.split(recipe)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    shown = README.partition("## See it run")[2].partition("\n    ")[2].partition("\n\n")[0].replace("\n    ", "\n")
    assert ids_aside(shown) == ids_aside("\n".join(done.stdout.splitlines()[-2:]))


def ids_aside(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}|127\.\d+\.", "…", text)


def test_the_first_ten_minutes_work_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in ("specs", "rendered"):
        shutil.copytree(ROOT / directory, tmp_path / directory)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", README, flags=re.S)
    lines = [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]
    assert lines[0] == ["make", "render"] and {line[0] for line in lines[1:]} == {".venv/bin/stormc"}
    for _, *words in lines[1:-1]:
        assert main(words) == 0, words
    assert "wrote specs/demo/chat.yaml" in "".join(capsys.readouterr())
    *_, local = lines
    asked = subprocess.run([sys.executable, "-m", "stormc", *local[1:]], capture_output=True, text=True, timeout=600)
    assert asked.returncode == 0 and "This is decode" in asked.stdout, asked.stderr
    spec = tmp_path / "specs/demo/chat.yaml"
    mistake = re.search(r"write `(dataParallel: \d+)` under `decode:`.*?`\S*stormc rule (E\d+)`", README, flags=re.S)
    assert mistake
    head, decode = spec.read_text().split("\ndecode:")
    spec.write_text(f"{head}\ndecode:{re.sub(r'dataParallel: [0-9]+', mistake[1], decode)}")
    assert main(["render", "specs/demo/chat.yaml"]) == 1
    assert f"specs/demo/chat.yaml:20:17: {mistake[2]}" in capsys.readouterr().err
