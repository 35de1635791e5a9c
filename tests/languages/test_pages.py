"""Pages in Chinese say of fields, ids and commands what the English ones say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(text: str) -> set[str]:
    """Everything in code marks in the first column of the tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.S)


@pytest.mark.parametrize("name", ["spec.md", "findings.md"])
def test_tables_are_about_the_same_fields(name: str) -> None:
    assert first_cells(page(f"zh/{name}")) == first_cells(page(name))


def test_settings_of_the_proxy_are_the_same() -> None:
    english, chinese = (
        next(line for line in page(name).splitlines() if line.startswith("| `proxy.*`"))
        for name in ("spec.md", "zh/spec.md")
    )
    assert re.findall(r"`[^`]+`", chinese) == re.findall(r"`[^`]+`", english)


@pytest.mark.parametrize("name", ["spec.md", "migrate.md"])
def test_yaml_and_commands_are_the_same(name: str) -> None:
    english, chinese = (
        [yaml.safe_load(block) for block in blocks(page(path), "yaml")] for path in (name, f"zh/{name}")
    )
    assert chinese == english
    assert blocks(page(f"zh/{name}"), "sh") == blocks(page(name), "sh")


@pytest.mark.parametrize("name", ["gitops.md", "review.md", "restarts.md", "cluster.md", "proxy.md"])
def test_a_shorter_page_shows_nothing_else(name: str) -> None:
    english, chinese = page(name), page(f"zh/{name}")
    for kind in ("yaml", "sh", "console"):
        shown = {line.partition("#")[0].strip() for block in blocks(english, kind) for line in block.splitlines()}
        told = {line.partition("#")[0].strip() for block in blocks(chinese, kind) for line in block.splitlines()}
        assert told <= shown
    settings = set(re.findall(r"`([a-z]+[A-Z]\w+)`", chinese))
    assert {word for word in settings if word not in english + page("spec.md")} == set()


def test_both_readmes_show_the_same_specs_commands_and_comment() -> None:
    english, chinese = ((DOCS.parent / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    assert blocks(chinese, "yaml") == blocks(english, "yaml")
    consoles = (blocks(text, "console")[0].splitlines() for text in (english, chinese))
    commands = [[line.partition("#")[0].strip() for line in lines] for lines in consoles]
    assert commands[0] == commands[1]
    quoted = [[line for line in text.splitlines() if line.startswith(">")] for text in (english, chinese)]
    assert quoted[0] == quoted[1]


def test_the_mistake_in_the_chinese_readme_is_shown_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DOCS.parent / "specs", tmp_path / "specs")
    spec = tmp_path / "specs/a3/my-test.yaml"
    spec.write_text(spec.read_text().replace("dataParallel: 32", "dataParallel: 31"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORMC_LANG", "zh")
    assert main(["render"]) == 1
    printed = capsys.readouterr().err
    for text in ((DOCS.parent / "README.zh.md").read_text(encoding="utf-8"), page("zh/findings.md")):
        shown = re.search(r"^    (specs/.*E036.*)(?:\n.*){2}\n +(请.*)$", text, flags=re.M)
        assert shown and shown[1] in printed and shown[2] in printed
