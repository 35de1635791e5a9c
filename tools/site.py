"""How MkDocs builds the site: pages in the order of docs/index.md, anchors as GitHub makes them, links out of docs/.

MkDocs calls the functions (https://www.mkdocs.org/user-guide/configuration/#hooks). Files outside of docs/ are linked
in the repository when STORMC_REPOSITORY_URL names it; otherwise the text of the link stays, without the link.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCS = Path("docs")
INDEX = "index.md"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
"""A link or an image of one line: mark, text and target."""


def github_slug(heading: str, separator: str = "-") -> str:
    """The anchor that GitHub gives to a heading: lower case, blanks as hyphens, other punctuation left out."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def navigation(index: str) -> list[Any]:
    """The pages of an index: a section per heading, with the pages that are listed below it."""
    sections: list[Any] = [INDEX]
    for part in re.split(r"^## ", index, flags=re.M)[1:]:
        title, _, text = part.partition("\n")
        pages = re.findall(r"^- \[([^\]]+)\]\((?!\.\.)([^)]+\.md)\)", text, flags=re.M)
        if pages:
            sections.append({title: [{name: target} for name, target in pages]})
    return sections


def outward(target: str, page: str) -> str | None:
    """The path in the repository of a target that is not below docs/; None for any other."""
    if re.match(r"[a-z]+:|#", target):
        return None
    path = posixpath.normpath(posixpath.join(DOCS.name, posixpath.dirname(page), target.partition("#")[0]))
    return None if path == DOCS.name or path.startswith(f"{DOCS.name}/") else path


def on_config(config: Any) -> Any:
    config.nav = navigation((Path(config.docs_dir) / INDEX).read_text(encoding="utf-8"))
    config.mdx_configs["toc"] = {"slugify": slugify, "permalink": False}
    return config


def slugify(heading: str, separator: str) -> str:
    """As `github_slug`, for Markdown's table of contents."""
    return github_slug(heading, separator)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page with its links out of docs/ led to the repository."""
    lines, fenced = [], False
    for line in markdown.splitlines(keepends=True):
        fenced ^= line.lstrip().startswith("```")
        lines.append(line if fenced else LINK.sub(_elsewhere(page.file.src_uri, config.repo_url or ""), line))
    return "".join(lines)


def _elsewhere(page: str, repository: str) -> Callable[[re.Match[str]], str]:
    def replaced(link: re.Match[str]) -> str:
        path = outward(link[3], page)
        if path is None:
            return link[0]
        return f"[{link[2]}]({repository.rstrip('/')}/blob/HEAD/{path})" if repository else link[2]

    return replaced
