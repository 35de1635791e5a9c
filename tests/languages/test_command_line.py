"""STORMC_LANG=zh, as users meet it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.reference.pages import wrapped
from tests.samples import spec_text

WRONG = "decode:\n  dataParallel: 31\n"
CHINESE = "decode.dataParallel 31 不是 podGroupSize 2 的整数倍"


def validated(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["validate", *arguments]) == 1
    return capsys.readouterr().out


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORMC_LANG", "zh")
    directory = tmp_path / "specs"
    directory.mkdir()
    (directory / "app.yaml").write_text(spec_text(WRONG), encoding="utf-8")
    return directory


@pytest.mark.parametrize("chosen", ["text", "json", "github", "gitlab", "sarif"])
def test_every_format_is_chinese_and_ids_and_paths_stay(
    specs: Path, capsys: pytest.CaptureFixture[str], chosen: str
) -> None:
    told = validated(capsys, "--format", chosen)
    if chosen in ("json", "gitlab", "sarif"):
        told = json.dumps(json.loads(told), ensure_ascii=False)
    assert CHINESE in told and "E036" in told and "30 或 32" in told and "specs/app.yaml" in told
    if chosen == "sarif":
        assert "rank 能平均分到实例的各 Pod" in told


def test_fingerprints_do_not_depend_on_the_language(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chinese = json.loads(validated(capsys, "--format", "gitlab"))
    monkeypatch.delenv("STORMC_LANG")
    english = json.loads(validated(capsys, "--format", "gitlab"))
    assert [entry["fingerprint"] for entry in chinese] == [entry["fingerprint"] for entry in english]
    assert chinese[0]["description"] != english[0]["description"]


def test_rules_are_explained_in_chinese(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "e036"]) == 0 and main(["rules"]) == 0
    told = capsys.readouterr().out
    assert "E036 (error): rank 能平均分到" in told and "错误写法，报告于 decode.dataParallel:" in told


def test_chinese_text_is_wrapped_by_columns() -> None:
    lines = list(wrapped("每个 rank 占一个 NPU。" * 20, 40))
    assert "".join(lines).replace(" ", "") == ("每个rank占一个NPU。" * 20)
    assert all(sum(1 if character.isascii() else 2 for character in line) <= 42 for line in lines)
    assert not any(line.startswith("。") for line in lines)


def test_a_remembered_finding_is_shown_in_the_language_of_today(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = "image: vllm-ascend:latest\n"
    (specs / "app.yaml").write_text(spec_text(warned), encoding="utf-8")
    monkeypatch.delenv("STORMC_LANG")
    assert main(["render"]) == 0
    assert "W060 image vllm-ascend:latest is not pinned" in "".join(capsys.readouterr())
    monkeypatch.setenv("STORMC_LANG", "zh")
    assert main(["render"]) == 0
    assert "W060 镜像 vllm-ascend:latest 没有固定版本" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["vaildate"], "stormc: 没有命令 vaildate; 是否想写 validate？"),
        (["explain", "chta"], "stormc: 没有应用 chta"),
        (["validate", "specs/x.yaml"], "stormc: specs/x.yaml 不存在"),
        (["validate", "--specs", "nowhere"], "stormc: nowhere 不是目录"),
    ],
)
def test_what_ends_a_command_is_said_in_chinese(
    specs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(line)


def test_reports_are_chinese(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "app.yaml").write_text(spec_text(), encoding="utf-8")
    assert main(["render"]) == 0
    (specs / "app.yaml").write_text(spec_text("decode: {podGroupSize: 4, dataParallel: 64}"), encoding="utf-8")
    assert main(["render", "--check"]) == 1
    told = "".join(capsys.readouterr())
    assert "Pod 重建" in told and "原因：gang 大小 2 → 4" in told and "rendered 与 specs 的渲染结果不一致" in told
    assert main(["what-if", "qwen3-moe", "--fail", "chip"]) == 0 and main(["capacity"]) == 0
    told = capsys.readouterr().out
    assert "MindCluster 删除并重调度" in told and "没有 inventory 登记 atlas-900-a3-superpod 的节点" in told


def test_no_english_sentence_is_left_in_a_diff(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (specs / "app.yaml").write_text(spec_text(), encoding="utf-8")
    for arguments in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"]):
        subprocess.run(["git", *arguments], check=True, cwd=specs.parent)
    (specs / "app.yaml").write_text(spec_text("prefill: {replicas: 3}\nimage: vllm-ascend:v0.12.1"), encoding="utf-8")
    assert main(["diff", "--base", "HEAD", "--format", "markdown"]) == 0
    told = capsys.readouterr().out
    lines = [line for line in told.split("```diff")[0].splitlines() if re.search(r"[a-z]+ [a-z]+ [a-z]+", line)]
    assert "1 个应用有修改" in told and [line for line in lines if "stormc diff" not in line] == []
