"""No verb decides by a text for people: with every phrase turned into nonsense, all does the same.

What a command line answers as JSON, what it writes and its exit code are compared with those in plain words. The
nonsense is made where phrases are made, so this holds for findings, refusals, warnings, effects and notes alike.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

import stormc.phrase
from stormc.__main__ import main
from stormc.phrase import Phrase
from tests.migrate import CASES as IMPORTS
from tests.samples import spec_text

STRANGE = "\u10d0"
"""The first letter of nonsense; no spec and no name of stormc has it."""


class Nonsense(Phrase):
    """A phrase in words of no language; other sentences stay other ones."""

    def __new__(cls, sentence: str) -> Nonsense:
        words = "".join(chr(0x10D0 + ord(letter) % 32) for letter in sentence)
        return super().__new__(cls, f"{STRANGE}{words}{len(sentence)}" if sentence else "")


PLATFORM = """\
apiVersion: stormc.dev/v1
kind: Platform
mindcluster: "26.0"
superPodSize: 4
inventory: {atlas-900-a3-superpod: {nodes: 8}}
gitops: {argocd: {repoURL: "https://git.example/a", project: models}, flux: {repoURL: "https://git.example/a"}}
"""
SPECS = {
    "platform.yaml": PLATFORM,
    "a.yaml": spec_text("name: a\nmodel: {name: a}"),
    "one/b.yaml": spec_text("name: b\nmodel: {name: b}"),
    "two/b.yaml": spec_text("name: b\nnamespace: two\nmodel: {name: b}\nprefill: {replicas: 1}"),
    "warned.yaml": spec_text("name: w\nmodel: {name: w}\nprefill: {env: {HCCL_BUFSIZE: 1}}\ntolerations: []"),
}
CHANGES = {
    "a.yaml": spec_text("name: a\nmodel: {name: a}\nimage: other:v1\ndecode: {replicas: 2, engineArgs: {seed: 1}}"),
    "one/b.yaml": spec_text("name: b\nmodel: {name: b}\nnamespace: elsewhere"),
    "broken.yaml": spec_text("{name: x, prefill: {imag: a, replicas: two}, decode: {podGroupSize: 3}}"),
}
LINES = [
    ["validate", "--format", "json"], ["validate", "--format", "sarif"],
    ["render"], ["render", "--check", "--format", "json"], ["diff", "--base", "HEAD", "--format", "json"],
    ["explain", "a", "--format", "json"], ["capacity", "--format", "json"], ["what-if", "a", "--format", "json"],
    ["capacity", "--base", "HEAD", "--format", "json"], ["fmt"], ["fmt", "--check", "--format", "json"],
    ["promote", "b", "--from", "one", "--to", "two"], ["init", "new"], ["rules"], ["explain", "nothing"],
    ["import", str(IMPORTS / "hand-written/input.yaml"), "--out", "specs/imported", "--hardware", "atlas-800i-a2"],
    ["import", str(IMPORTS / "deploy-tool/input.yaml"), "--out", "specs/imported"],
]  # fmt: skip
CHANGED = [False, True]


class Outcome(NamedTuple):
    """What is left of a command line: its exit code, its answer, and the files that are there afterwards."""

    code: int
    answer: Any
    files: dict[str, bytes]


def outcome(root: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Outcome:
    capsys.readouterr()
    code = main(arguments)
    out = capsys.readouterr().out
    answer = json.loads(out) if "json" in arguments or "sarif" in arguments else None
    paths = sorted(path for room in ("specs", "rendered") for path in (root / room).rglob("*") if path.is_file())
    return Outcome(code, answer, {str(path.relative_to(root)): path.read_bytes() for path in paths})


def differences(plain: Any, strange: Any, path: str = "$") -> Iterator[str]:
    """Where two answers differ by more than nonsense."""
    if isinstance(plain, dict) and isinstance(strange, dict) and plain.keys() == strange.keys():
        for key in plain:
            yield from differences(plain[key], strange[key], f"{path}.{key}")
    elif isinstance(plain, list) and isinstance(strange, list) and len(plain) == len(strange):
        for index, (one, other) in enumerate(zip(plain, strange, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif plain != strange and not (isinstance(strange, str) and STRANGE in strange):
        yield f"{path}: {plain!r} != {strange!r}"


def repository(root: Path, changed: bool) -> None:
    if root.exists():
        shutil.rmtree(root)
    for file, text in SPECS.items():
        (root / "specs" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "specs" / file).write_text(text)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(root)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    for file, text in CHANGES.items() if changed else ():
        (root / "specs" / file).write_text(text)


@pytest.mark.parametrize("changed", CHANGED, ids=["as committed", "changed"])
@pytest.mark.parametrize("arguments", LINES, ids=" ".join)
def test_a_verb_does_the_same_in_nonsense(
    arguments: list[str], changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = tmp_path / "repository"
    repository(root, changed)
    monkeypatch.chdir(root)
    plain = outcome(root, arguments, capsys)
    monkeypatch.chdir(tmp_path)
    repository(root, changed)
    monkeypatch.chdir(root)
    with mock.patch.object(stormc.phrase, "Phrase", Nonsense):
        strange = outcome(root, arguments, capsys)
    assert strange.code == plain.code
    assert list(differences(plain.answer, strange.answer)) == []
    assert strange.files == plain.files


def test_all_sentences_are_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    repository(tmp_path / "repository", True)
    monkeypatch.chdir(tmp_path / "repository")
    with mock.patch.object(stormc.phrase, "Phrase", Nonsense):
        found = outcome(tmp_path, ["validate", "--format", "json"], capsys).answer["findings"]
    assert found and all(STRANGE in one["message"] for one in found)
