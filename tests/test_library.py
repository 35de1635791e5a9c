"""docs/library.md is true: its code runs as it stands, and it lists every action with its parameters."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from stormc import actions

TEXT = (Path(__file__).parent.parent / "docs/library.md").read_text(encoding="utf-8")


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.S))
    exec(compile(code, "docs/library.md", "exec"), {})
    written, preview, value, roles = capsys.readouterr().out.splitlines()[-4:]
    assert "chat/stormservice-chat.yaml" in written
    assert "dataParallel" in preview
    assert value == "1 ('decode.replicas',) default"
    assert roles == "['prefill', 'decode', 'routing']"


def test_every_action_is_listed_with_its_parameters() -> None:
    listed = dict(re.findall(r"^\| `(\w+)\((.*)\)` \|", TEXT, flags=re.M))
    names = {name: set(re.findall(r"\w+", re.sub(r"=\(\)", "", parameters))) for name, parameters in listed.items()}
    real = {name: set(inspect.signature(getattr(actions, name)).parameters) for name in dir(actions)}
    assert names == real
