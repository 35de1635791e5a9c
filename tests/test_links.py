"""Every internal link of the documentation leads somewhere, every page is in the index, and the site builds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tools.site import LINK, github_slug, navigation, on_page_markdown, outward

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The text without fenced, indented and inline code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]+`", "code", re.sub(r"^(    .*|\t.*)$", "", text, flags=re.M))


def links(page: Path) -> Iterator[str]:
    """The targets of all links and images of a page that lead into this repository."""
    for _, _, target in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield unquote(target)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; further ones of a name are numbered."""
    seen: dict[str, int] = {}
    result = set()
    for heading in re.findall(
        r"^#+ (.+?)\s*$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), flags=re.M
    ):
        slug = github_slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", ""))
        number = seen[slug] = seen.get(slug, -1) + 1
        result.add(f"{slug}-{number}" if number else slug)
    return result


def broken(page: Path, root: Path = ROOT) -> list[str]:
    """The targets of a page that are not there."""
    missing = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(root) or (anchor and anchor not in anchors(file)):
            missing.append(target)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_and_anchors_exist(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n# A\n# A\n[a](#one-two) [b](#three) [`c`](none.md) `[d](none.md)` [e](#a-1) ![f](/etc/hosts)\n"
    )
    page.write_text(page.read_text() + "\n    [g](none.md)\n\n```\n[h](none.md)\n```\n")
    assert broken(page, tmp_path) == ["#three", "none.md", "/etc/hosts"]


def test_every_page_is_in_the_index_and_in_the_navigation() -> None:
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    listed = {target for _, _, target in LINK.findall(INDEX) if outward(target, "index.md") is None}
    assert pages - {"index.md"} <= listed
    sections = [section for section in navigation(INDEX) if isinstance(section, dict)]
    assert {path for section in sections for pages in section.values() for page in pages for path in page.values()} == (
        pages - {"index.md"}
    )


def test_both_readmes_lead_to_the_index() -> None:
    assert "docs/index.md" in set(links(ROOT / "README.md"))
    assert "docs/zh/README.md" in set(links(ROOT / "README.zh.md"))


@pytest.mark.parametrize(
    ("target", "path"),
    [("spec.md", None), ("#a", None), ("https://a/b.md", None), ("../specs/a.yaml", "specs/a.yaml"),
     ("../docs/spec.md", None), ("../README.md#start", "README.md")],
)  # fmt: skip
def test_links_out_of_docs_are_told_from_others(target: str, path: str | None) -> None:
    assert outward(target, "index.md") == path
    assert outward("../spec.md", "zh/README.md") is None


def test_links_out_of_docs_lead_to_the_repository_or_are_text() -> None:
    class Config:
        repo_url = ""

    page: Any = type("Page", (), {"file": type("File", (), {"src_uri": "ci.md"})})
    text = "[ci](../.github/ci.yaml) [spec](spec.md)\n"
    assert on_page_markdown(text, page, Config, None) == "ci [spec](spec.md)\n"
    Config.repo_url = "https://git.example.com/a/b"
    told = on_page_markdown(text, page, Config, None)
    assert told == "[ci](https://git.example.com/a/b/blob/HEAD/.github/ci.yaml) [spec](spec.md)\n"


def test_the_site_builds_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("STORMC_REPOSITORY_URL", raising=False)
    assert _build(ROOT / "mkdocs.yml", tmp_path / "site") is None
    chinese = (tmp_path / "site/zh/rules/index.html").read_text(encoding="utf-8")
    assert '<h2 id="e036">' in chinese and "平均分到实例" in chinese


def test_the_site_does_not_build_with_a_broken_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# A\n\n## B\n\n- [c](c.md)\n")
    (tmp_path / "docs/c.md").write_text("# C\n\n[a](index.md#none)\n")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    monkeypatch.chdir(tmp_path)
    assert "strict" in str(_build(tmp_path / "mkdocs.yml", tmp_path / "site"))


def _build(config: Path, site: Path) -> Exception | None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    try:
        build(load_config(str(config), site_dir=str(site)))
    except Abort as abort:
        return abort
    return None
