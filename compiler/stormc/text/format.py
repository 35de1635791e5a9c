"""The canonical form of specs: keys in the order of docs/spec.md, one way to quote, two spaces; comments stay.

ruamel keeps comments with the value before them, but people write them above what they mean. So keys are put in order
as lines of text, each with the comments above it, and ruamel's round trip does the rest.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from stormc.finding import START, Finding, Mark, Path
from stormc.load.document import Document, load_document
from stormc.model import schema

LOST, STALE = "E115", "E116"

TABLES: dict[str, schema.Schema] = {"App": schema.APP, "Platform": schema.PLATFORM, "Profile": schema.PROFILE}
_APP = {
    **{name: {**schema.APP[name], "schema": table} for name, table in schema.SECTIONS.items()},
    "overrides": {**schema.APP["overrides"], "schema": {"type": "dict", "schema": schema.OVERRIDE}},
}

_SAFE = re.compile(
    r"(?:/|-{0,2}[A-Za-z])[A-Za-z0-9 _./@%+=()*'-]*(?::[A-Za-z0-9_./@%+=-]+)*"
    r"|[0-9]+(?:[KMGT]i|m|-[A-Za-z][A-Za-z0-9_.-]*)"
)
"""A string that is one for every reader of YAML, 1.1 or 1.2, in block and in flow style; some words apart."""
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"])
_LINE_COMMENT = re.compile(r"^\s*#")
_DASH = re.compile(r"^( *)- ")


def formatted(file: str, raw: bytes) -> tuple[str | None, list[Finding]]:
    """The canonical text of a spec, or the findings that tell why there is none; the same text again for itself.

    It says what the file says, and has the same comments: where that cannot be kept, it is a finding.
    """
    from ruamel.yaml.error import MarkedYAMLError

    document, findings = load_document(file, raw)
    if document is None:
        return None, findings
    try:
        text = _once(document)
    except MarkedYAMLError as error:
        at = error.problem_mark
        mark = Mark(at.line + 1, at.column + 1, at.line + 1, at.column + 2) if at is not None else START
        return None, [Finding(LOST, file, mark, str(error.problem), "put blanks where tabs are")]
    again, _ = load_document(file, text.encode())
    kept = again is not None and again.data == document.data and _comments(again.text) == _comments(document.text)
    if again is None or not kept or _once(again) != text:
        message = "a comment stands where its place cannot be kept"
        return None, [Finding(LOST, file, START, message, "move comments onto lines of their own")]
    return text, []


def stale(file: str, raw: bytes, text: str) -> Finding | None:
    """A finding at the first line that is not in canonical form, or None."""
    if raw == text.encode():
        return None
    old, new = raw.decode("utf-8-sig", "replace").split("\n"), text.split("\n")
    line = next((n for n, (a, b) in enumerate(zip(old, new, strict=False), 1) if a != b), min(len(old), len(new)))
    return Finding(STALE, file, Mark(line, 1, line, 1), "the file is not in canonical form", "run: stormc fmt")


def spec_text(data: Mapping[str, Any]) -> str:
    """The canonical text of a spec given as plain data."""
    return _dumped(_node(data, data))


def _once(document: Document) -> str:
    document = _ordered(document)
    root = _yaml().load(document.text)
    _plain(root, document.data, document.data, ())
    return _dumped(root)


def _ordered(document: Document) -> Document:
    """The document with the keys of every block mapping in order, and its comments with them."""
    done: set[Path] = set()
    while True:
        path = next((p for p in _mappings(document.data, ()) if p not in done and _out_of_order(document, p)), None)
        if path is None:
            return document
        done.add(path)
        text = _moved(document, path)
        moved, _ = load_document(document.file, text.encode()) if text is not None else (None, [])
        if moved is not None and moved.data == document.data:
            document = moved


def _mappings(node: Any, path: Path) -> list[Path]:
    found: list[Path] = []
    if isinstance(node, dict):
        found.append(path)
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += _mappings(value, (*path, key))
    return found


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _fields(data: Mapping[str, Any], path: Path) -> list[str]:
    """The fields of the mapping at a path, in their order; none where the user's own keys stand."""
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


def _sorted_keys(data: Mapping[str, Any], path: Path) -> list[str]:
    order = {name: index for index, name in enumerate(_fields(data, path))}
    keys = list(_at(data, path))
    return sorted(keys, key=lambda key: order.get(key, len(order)))


def _out_of_order(document: Document, path: Path) -> bool:
    return _sorted_keys(document.data, path) != list(_at(document.data, path))


def _moved(document: Document, path: Path) -> str | None:
    """The text with the lines of a block mapping's keys in order; None for a mapping in flow style."""
    keys = list(_at(document.data, path))
    marks = [document.keys[(*path, key)] for key in keys]
    lines = document.text.split("\n")
    if len({mark.line for mark in marks}) < len(marks) or len({mark.column for mark in marks}) > 1:
        return None
    first = marks[0].line
    if path:  # comments above the first key of a nested mapping are about that key
        while first > 1 and _LINE_COMMENT.match(lines[first - 2]) and _dash(lines, marks[0], path) is None:
            first -= 1
    chunks: dict[str, list[str]] = {}
    start = first
    for key in keys:
        end = _last_line(document, (*path, key))
        while end < len(lines) and _is_below(lines[end], marks[0].column):
            end += 1
        chunks[key] = lines[start - 1 : end]
        start = end + 1
    dash = _dash(lines, marks[0], path)
    wanted = _sorted_keys(document.data, path)
    if dash is not None:
        chunks[keys[0]][0] = " " * (dash + 2) + chunks[keys[0]][0][dash + 2 :]
        head = chunks[wanted[0]]
        at = next(n for n, line in enumerate(head) if line.strip() and not _LINE_COMMENT.match(line))
        head[at] = " " * dash + "- " + head[at][dash + 2 :]
    moved = [line for key in wanted for line in chunks[key]]
    return "\n".join([*lines[: first - 1], *moved, *lines[start - 1 :]])


def _is_below(line: str, column: int) -> bool:
    """Whether a line is a comment that is indented deeper than keys at a column: it ends what is above it."""
    return bool(_LINE_COMMENT.match(line)) and len(line) - len(line.lstrip()) >= column


def _dash(lines: list[str], mark: Mark, path: Path) -> int | None:
    """The column, from 0, of the dash before the first key of a list's item; None in a mapping."""
    if not path or not isinstance(path[-1], int):
        return None
    match = _DASH.match(lines[mark.line - 1])
    return len(match[1]) if match and len(match[0]) == mark.column - 1 else None


def _last_line(document: Document, path: Path) -> int:
    """The last line of a key's value."""
    last = document.keys[path].line if path in document.keys else 1
    for other, mark in document.values.items():
        if other[: len(path)] == path:
            last = max(last, mark.end_line - 1 if mark.end_column == 1 and mark.end_line > mark.line else mark.end_line)
    return last


def _yaml() -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """As ruamel's, with null spelt out."""

    Representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null"))
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _plain(node: Any, data: Any, root: Mapping[str, Any], path: Path) -> None:
    """Gives every string below a node its quotes, and no others, and orders flow mappings; text blocks stay blocks."""
    from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

    items = list(zip(node, data, strict=True)) if isinstance(data, dict) else list(enumerate(range(len(data))))
    for key, name in items:
        value = data[name]
        if isinstance(value, (dict, list)):
            _plain(node[key], value, root, (*path, name))
        elif isinstance(value, str) and not isinstance(node[key], (LiteralScalarString, FoldedScalarString)):
            quoted, anchor = _quoted(value), getattr(node[key], "anchor", None)
            if anchor is not None and anchor.value:
                quoted.yaml_set_anchor(anchor.value, always_dump=True)
            node[key] = quoted
    if isinstance(data, dict):
        for position, (key, name) in enumerate(items):
            wanted = _quoted(name)
            if isinstance(key, str) and _style(key) != _style(wanted):
                comments = node.ca.items.pop(key, None)
                value = node.pop(key)
                node.insert(position, wanted, value)
                if comments:
                    node.ca.items[wanted] = comments
        if node.fa.flow_style():
            for key in _sorted_keys(root, path):
                node.move_to_end(key)


def _quoted(value: str) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, PlainScalarString

    safe = _SAFE.fullmatch(value) and value.lower() not in _WORDS and not value.endswith(" ")
    return PlainScalarString(value) if safe else DoubleQuotedScalarString(value)


def _style(key: str) -> str:
    return getattr(key, "style", "")


def _node(value: Any, root: Mapping[str, Any], path: Path = ()) -> Any:
    """Plain data as ruamel writes it: keys in order, strings with their quotes."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(value, Mapping):
        made = CommentedMap({_quoted(key): _node(value[key], root, (*path, key)) for key in _sorted_keys(root, path)})
        if not made:
            made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        seq = CommentedSeq(_node(item, root, (*path, index)) for index, item in enumerate(value))
        if not seq or all(isinstance(item, (str, int)) and "\n" not in str(item) for item in value):
            seq.fa.set_flow_style()
        return seq
    if isinstance(value, str):
        clean = "\n" in value and re.fullmatch(r"[^\s](.*[^\s])?(\n(.*[^\s])?)*", value) and "\t" not in value
        return LiteralScalarString(value) if clean else _quoted(value)
    return value


def _dumped(root: Any) -> str:
    written = io.StringIO()
    _yaml().dump(root, written)
    return written.getvalue().lstrip("\n")


def _comments(text: str) -> list[str]:
    """What follows every `#` that may start a comment, without quotes: where one is inside of a string, they differ."""
    return sorted(re.sub(r"[\s\"']", "", match) for match in re.findall(r"(?:^|(?<=\s))#.*$", text, flags=re.M))
