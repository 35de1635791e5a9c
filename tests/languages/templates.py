"""Every template of a phrase in the sources, and the descriptions that hints are made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from stormc.model.tables import TABLES
from stormc.phrase import described

SOURCES = Path(__file__).parents[2] / "compiler"


def templates() -> set[str]:
    """What `phrase` and `chained` are called with, and the descriptions of required fields, where words are in them."""
    literals = {t for path in sorted(SOURCES.rglob("*.py")) for t in _literals(path)}
    return {template for template in literals | set(_descriptions(TABLES)) if has_words(template)}


def has_words(template: str) -> bool:
    """Whether there is anything to translate outside of the placeholders."""
    return any(character.isalpha() for text, _, _, _ in Formatter().parse(template) for character in text)


def placeholders(template: str) -> list[str]:
    """The placeholders of a template with their formats, sorted."""
    return sorted(f"{name}!{how}:{form}" for _, name, form, how in Formatter().parse(template) if name is not None)


def _literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("phrase", "chained"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def _descriptions(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("required") is True and "meta" in node:
            yield described(node["meta"]["description"]).template
        for value in node.values():
            yield from _descriptions(value)
