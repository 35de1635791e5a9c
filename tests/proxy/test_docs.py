"""docs/proxy.md says what is so: every setting, the examples, the picture."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from stormc_proxy.options import TABLE
from stormc_proxy.settings import Address, Settings, from_arguments, from_file

ROOT = Path(__file__).parent.parent.parent
DOC = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_that_of_the_program() -> None:
    for option in TABLE:
        assert getattr(Settings(), option.name) == option.default, option.name
        name = option.flag or option.key
        assert f"| `{name}` |" in DOC, name


def test_the_example_file_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", DOC, flags=re.S)
    (tmp_path / "config.json").write_text(text)
    settings = from_file(tmp_path / "config.json", Settings())
    assert settings.decode == (Address("chat-decode-0", 8080), Address("chat-decode-0", 8081))


def test_the_commands_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_flags, by_file = re.findall(r"^    python -m stormc_proxy ((?:.*\\\n)*.*)", DOC, flags=re.M)
    settings, config = from_arguments(shlex.split(by_flags.replace("\\\n", " ")))
    assert settings.prefill == (Address("p0", 8100), Address("p1", 8100)) and config is None
    (tmp_path / "config.json").write_text("{}")
    words = shlex.split(by_file.replace("/etc/stormc/proxy/config.json", str(tmp_path / "config.json")))
    assert from_arguments(words)[0].advertised == "10.0.0.9"


def test_the_picture_is_there() -> None:
    (name,) = re.findall(r"!\[.*?\]\((.*?)\)", DOC)
    assert (ROOT / "docs" / name).read_bytes().startswith(b"\x89PNG")
