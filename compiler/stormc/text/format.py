"""The canonical form of specs: keys in the order of docs/spec.md, one way to quote, two spaces; comments stay.

ruamel keeps comments with the value before them, but people write them above what they mean. So keys are put in order
as lines of text, each with the comments above it, and ruamel's round trip does the rest.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from stormc.finding import START, Finding, Mark, Path
from stormc.load.document import Document, load_document
from stormc.model import schema
from stormc.model.field import Schema
from stormc.text.checks import LOST, STALE

TABLES: dict[str, Schema] = {"App": schema.APP, "Platform": schema.PLATFORM, "Profile": schema.PROFILE}
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
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.M)
_DASH = re.compile(r"^( *)- ")
_NO_PLACE = "a comment stands where its place cannot be kept"
_OWN_LINE = "move it onto a line of its own"


def formatted(file: str, raw: bytes) -> tuple[str | None, list[Finding]]:
    """The canonical text of a spec, or the findings that tell why there is none; the same text again for itself.

    It says what the file says, and has the same comments: where that cannot be kept, it is a finding. A file without
    comments always has a canonical text.
    """
    document, findings = load_document(file, raw)
    if document is None:
        return None, findings
    text, problem = _formatted(document)
    if text is None and not _comments(document.text):
        text = spec_text(document.data)
        again, _ = load_document(file, text.encode())
        assert again is not None and again.data == document.data, file
        text = _formatted(again)[0] or text
    return text, [] if text is not None else problem


def _formatted(document: Document) -> tuple[str | None, list[Finding]]:
    """The canonical text with the comments of a document, or what keeps them from their places."""
    from ruamel.yaml.error import MarkedYAMLError

    try:
        text = _once(document)
        again, _ = load_document(document.file, text.encode())
        if (
            again is not None
            and again.data == document.data
            and _comments(text) == _comments(document.text)
            and _once(again) == text
        ):
            return text, []
    except MarkedYAMLError as error:
        at = error.problem_mark
        mark = Mark(at.line + 1, at.column + 1, at.line + 1, at.column + 2) if at is not None else START
        return None, [Finding(LOST, document.file, mark, str(error.problem), "put blanks where tabs are")]
    return None, [_misplaced(document, text)]


def _misplaced(document: Document, text: str) -> Finding:
    """A finding at the first comment that is not in the canonical text; at the first of all where each one is."""
    left = Counter(_comments(text))
    marks = []
    for number, line in enumerate(document.text.split("\n"), 1):
        for match in _COMMENT.finditer(line):
            mark = Mark(number, match.start() + 1, number, match.end() + 1)
            marks.append(mark)
            words = _words_of(match[0])
            if not left[words]:
                return Finding(LOST, document.file, mark, _NO_PLACE, _OWN_LINE)
            left[words] -= 1
    return Finding(LOST, document.file, marks[0] if marks else START, _NO_PLACE, _OWN_LINE)


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
    _plain(root, document.data, document.data, (), False)
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
    for key, mark in zip(keys, marks, strict=True):
        end = _last_line(document, (*path, key))
        if not start <= mark.line <= end:
            return None
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
    """The last line of a key's value. A collection in block style ends with the last thing in it."""
    last = document.keys[path].line if path in document.keys else 1
    lines = document.text.split("\n")
    for other, mark in document.values.items():
        if other[: len(path)] != path:
            continue
        last = max(last, mark.line)
        if not isinstance(_at(document.data, other), (dict, list)) or lines[mark.line - 1][mark.column - 1] in "[{":
            last = max(last, mark.end_line - 1 if mark.end_column == 1 else mark.end_line)
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
    yaml.composer.warn_double_anchors = False  # YAML allows a name twice; stderr is for people
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _plain(node: Any, data: Any, root: Mapping[str, Any], path: Path, in_flow: bool) -> None:
    """Gives every string below a node its quotes, and no others, and orders flow mappings; text blocks stay blocks."""
    from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

    in_flow = in_flow or bool(node.fa.flow_style())
    items = list(zip(node, data, strict=True)) if isinstance(data, dict) else list(enumerate(range(len(data))))
    for key, name in items:
        value = data[name]
        if isinstance(value, (dict, list)):
            _plain(node[key], value, root, (*path, name), in_flow)
        elif isinstance(value, str) and not isinstance(node[key], (LiteralScalarString, FoldedScalarString)):
            quoted, anchor = _quoted(value, in_flow), getattr(node[key], "anchor", None)
            if anchor is not None and anchor.value:
                quoted.yaml_set_anchor(anchor.value, always_dump=True)
            node[key] = quoted
    if isinstance(data, dict):
        for position, (key, name) in enumerate(items):
            wanted = _quoted(name, in_flow)
            if isinstance(key, str) and _style(key) != _style(wanted):
                comments = node.ca.items.pop(key, None)
                value = node.pop(key)
                node.insert(position, wanted, value)
                if comments:
                    node.ca.items[wanted] = comments
        if node.fa.flow_style():
            for key in _sorted_keys(root, path):
                node.move_to_end(key)


def _quoted(value: str, in_flow: bool = False) -> Any:
    """A string with the quotes that it needs; in flow style old readers, libyaml 0.1 among them, trip over a colon."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, PlainScalarString

    safe = _SAFE.fullmatch(value) and value.lower() not in _WORDS and not value.endswith(" ")
    safe = safe and not (in_flow and ":" in value)
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
        flat = all(isinstance(item, (str, int)) and "\n" not in str(item) for item in value)
        seq = CommentedSeq(
            _quoted(item, True) if flat and isinstance(item, str) else _node(item, root, (*path, index))
            for index, item in enumerate(value)
        )
        if flat:
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
    return sorted(_words_of(match) for match in _COMMENT.findall(text))


def _words_of(comment: str) -> str:
    return re.sub(r"[\s\"']", "", comment)
