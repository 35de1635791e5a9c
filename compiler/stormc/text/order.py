"""The keys of a spec in the order of docs/spec.md, moved as lines of text with the comments above them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from stormc.finding import Mark, Path
from stormc.load.document import Document, load_document
from stormc.model import schema
from stormc.model.forms import Schema

TABLES: dict[str, Schema] = {"App": schema.APP, "Platform": schema.PLATFORM, "Profile": schema.PROFILE}


_APP = {
    **{name: {**schema.APP[name], "schema": table} for name, table in schema.SECTIONS.items()},
    "overrides": {**schema.APP["overrides"], "schema": {"type": "dict", "schema": schema.OVERRIDE}},
}


_LINE_COMMENT = re.compile(r"^\s*#")


_DASH = re.compile(r"^( *)- ")


FEW = 16
"""The most mappings that are tried one by one where they cannot be ordered together: each try parses the file."""


def ordered(document: Document) -> Document:
    """The document with the keys of every block mapping in order, and its comments with them."""
    paths = sorted(_mappings(document.data, ()), key=len)
    for _, group in groupby(paths, key=len):
        document = _reordered(document, list(group))
    return document


def _reordered(document: Document, paths: list[Path]) -> Document:
    """The document with the keys of some mappings in order, none of which lies within another."""
    wrong = [path for path in paths if _out_of_order(document, path)]
    if not wrong:
        return document
    lines, ends = document.text.split("\n"), _last_lines(document)
    for path in wrong:
        _move(document, path, lines, ends)
    text = "\n".join(lines)
    moved, _ = load_document(document.file, text.encode())
    if moved is not None and moved.data == document.data:
        return moved
    if 1 < len(wrong) <= FEW:
        half = len(wrong) // 2
        return _reordered(_reordered(document, wrong[:half]), wrong[half:])
    return document


def _mappings(node: Any, path: Path) -> list[Path]:
    paths: list[Path] = []
    if isinstance(node, dict):
        paths.append(path)
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        paths += _mappings(value, (*path, key))
    return paths


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _fields(data: Mapping[str, Any], path: Path) -> list[str]:
    """The fields of the mapping at a path, in the order of docs/spec.md; empty where users choose the keys."""
    kind = data.get("kind")
    table: Any = TABLES.get(kind, {}) if isinstance(kind, str) else {}
    fields: Any = {**table, **_APP} if kind == "App" else table
    for step in path:
        if isinstance(step, int):
            continue
        rules = fields.get(step, {}) if isinstance(fields, dict) else {}
        if step == "defaults" and kind == "Platform":
            fields = {**schema.APP, **_APP}
            continue
        fields = rules.get("schema") or rules.get("valuesrules") or {}
        while isinstance(fields, dict) and isinstance(fields.get("type"), str):
            fields = fields.get("schema") or {}
    return list(fields)


def sorted_keys(data: Mapping[str, Any], path: Path) -> list[str]:
    """The keys of the mapping at a path in canonical order; keys without an order come last, as they stand."""
    order = {name: index for index, name in enumerate(_fields(data, path))}
    keys = list(_at(data, path))
    return sorted(keys, key=lambda key: order.get(key, len(order)))


def _out_of_order(document: Document, path: Path) -> bool:
    return sorted_keys(document.data, path) != list(_at(document.data, path))


def _move(document: Document, path: Path, lines: list[str], ends: Mapping[Path, int]) -> None:
    """Puts the lines of a block mapping's keys in order; a mapping in flow style stays. No line changes its number
    outside of the mapping.
    """
    keys = list(_at(document.data, path))
    marks = [document.keys[(*path, key)] for key in keys]
    if len({mark.line for mark in marks}) < len(marks) or len({mark.column for mark in marks}) > 1:
        return
    first = marks[0].line
    if path:  # comments above the first key of a nested mapping are about that key
        while first > 1 and _LINE_COMMENT.match(lines[first - 2]) and _dash(lines, marks[0], path) is None:
            first -= 1
    chunks: dict[str, list[str]] = {}
    start = first
    for key, mark in zip(keys, marks, strict=True):
        end = ends[(*path, key)]
        if not start <= mark.line <= end:
            return
        while end < len(lines) and _is_below(lines[end], marks[0].column):
            end += 1
        chunks[key] = lines[start - 1 : end]
        start = end + 1
    dash = _dash(lines, marks[0], path)
    new_order = sorted_keys(document.data, path)
    if dash is not None:
        chunks[keys[0]][0] = " " * (dash + 2) + chunks[keys[0]][0][dash + 2 :]
        head = chunks[new_order[0]]
        at = next(n for n, line in enumerate(head) if line.strip() and not _LINE_COMMENT.match(line))
        head[at] = " " * dash + "- " + head[at][dash + 2 :]
    moved = [line for key in new_order for line in chunks[key]]
    lines[first - 1 : start - 1] = moved


def _is_below(line: str, column: int) -> bool:
    """Whether a line is a comment that is indented deeper than keys at a column: it ends what is above it."""
    return bool(_LINE_COMMENT.match(line)) and len(line) - len(line.lstrip()) >= column


def _dash(lines: list[str], mark: Mark, path: Path) -> int | None:
    """The column, from 0, of the dash before the first key of a list's item; None in a mapping."""
    if not path or not isinstance(path[-1], int):
        return None
    match = _DASH.match(lines[mark.line - 1])
    return len(match[1]) if match and len(match[0]) == mark.column - 1 else None


def _last_lines(document: Document) -> dict[Path, int]:
    """The last line of every key's value. A collection in block style ends with the last thing in it."""
    lines = document.text.split("\n")
    ends = {path: mark.line for path, mark in document.keys.items()}
    for path, mark in document.values.items():
        # YAML 1.1 breaks lines where we do not, at U+2028
        opening = "".join(lines[mark.line - 1 : mark.line])[mark.column - 1 : mark.column] in ("[", "{")
        last = mark.line
        if opening or not isinstance(_at(document.data, path), (dict, list)):
            last = max(last, mark.end_line - 1 if mark.end_column == 1 else mark.end_line)
        for length in range(1, len(path) + 1):
            ends[path[:length]] = max(ends.get(path[:length], 1), last)
    return ends
