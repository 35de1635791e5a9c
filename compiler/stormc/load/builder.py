"""Plain data, and where each key and value stands, from the events of a YAML parser.

The data is built here because a validator needs positions and a hostile file must not recurse or multiply. Scalars
follow the YAML 1.2 core schema: `on` and `yes` are strings, so what a user sees is what is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from stormc.finding import START, Finding, Mark, Path
from stormc.load.checks import NO_MAPPING, NOT_PLAIN, REPEATED_KEY, SEVERAL_DOCUMENTS, TOO_DEEP
from stormc.load.libyaml import MarkedYAMLError, YAMLError
from stormc.phrase import NONE, Phrase, phrase
from stormc.record import NamedTuple

T = TypeVar("T")

MAX_DEPTH = 40
MAX_VALUES = 20_000
"""Values of a file, including those that aliases repeat."""
MAX_ALIASED = 64 * 1024
"""Characters that all aliases of a file may repeat: an alias is one line of it, but its text is written each time."""
MOST_DIGITS = 18
_SIGNED = r"[-+][0-9]{1,18}"
_RADIX = r"0(?:o[0-7]{1,16}|x[0-9a-fA-F]{1,15})"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?"
_WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class Parsed(NamedTuple):
    """One document of a text."""

    data: Mapping[str, Any]
    keys: Mapping[Path, Mark]
    values: Mapping[Path, Mark]


class Stop(Exception):
    """Why the rest of a text is not read."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings


class NotYAML(Stop):
    """A parser refuses the text."""


class Builder:
    """Builds data from parser events without recursion; bounded in depth, in values, and in what aliases repeat."""

    def __init__(self, file: str, text: str, parser: Callable[[], Any], most_keys: int) -> None:
        self.file = file
        self.text = text
        self._new_parser = parser
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}
        self.findings: list[Finding] = []
        self._anchors: dict[str, tuple[Any, _Size]] = {}
        self._open: set[str] = set()
        self._most_keys = most_keys
        self._count = self._repeated = 0

    def build(self) -> dict[str, Any]:
        """The only document of the text."""
        return self._guarded(self._document)

    def build_all(self) -> list[Parsed]:
        """Every document of the text but empty ones."""
        return self._guarded(self._documents)

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            self._parser = self._new_parser()
            return read()
        except MarkedYAMLError as error:
            raise NotYAML(*self._syntax(error)) from None
        except IndexError:  # ruamel's scanner, at a directive in the middle of a file
            raise NotYAML(
                Finding(NOT_PLAIN, self.file, START, phrase("not YAML"), phrase("take out directives (%)"))
            ) from None
        except YAMLError as error:
            problem = str(error).split("\n")[0]
            from stormc.load.syntax import unprintable

            mark = unprintable(self.text)
            raise Stop(
                Finding(
                    NOT_PLAIN,
                    self.file,
                    mark,
                    phrase("not YAML: {problem}", problem=problem),
                    phrase("remove the character"),
                )
            ) from None

    def _syntax(self, error: Any) -> list[Finding]:
        from stormc.load.syntax import explained

        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1, at.line + 1, at.column + 2) if at else START
        context = f" {error.context}" if error.context else ""
        message = phrase("not YAML:{context} {problem}", context=context, problem=str(error.problem).strip())
        hint = phrase("look at quotes, brackets and indentation up to here")
        return explained(self.file, self.text, mark.line) or [Finding(NOT_PLAIN, self.file, mark, message, hint)]

    def _stop(self, rule: str, event: Any, message: Phrase, hint: Phrase = NONE) -> Stop:
        colons: list[Finding] = []
        if rule == NO_MAPPING and "：" in self.text:
            from stormc.load.syntax import full_width_colons

            colons = list(full_width_colons(self.file, self.text))
        return Stop(*(colons or [Finding(rule, self.file, mark_of(event), message, hint)]))

    def _document(self) -> dict[str, Any]:
        events = self._parser
        events.get_event()
        first = events.get_event()
        if type(first).__name__ == "StreamEndEvent":
            raise self._stop(NO_MAPPING, first, phrase("the file is empty"), phrase("write a spec, or remove the file"))
        root = events.get_event()
        if type(root).__name__ != "MappingStartEvent":
            kind = phrase("a list") if type(root).__name__ == "SequenceStartEvent" else phrase("a single value")
            if type(root).__name__ == "ScalarEvent" and not root.value:
                raise self._stop(NO_MAPPING, root, phrase("the file is empty"),
                                 phrase("write a spec, or remove the file"))  # fmt: skip
            raise self._stop(NO_MAPPING, root, phrase("the file holds {kind}, not a mapping", kind=kind),
                             phrase("start with apiVersion: and kind:"))  # fmt: skip
        data = self._collection(root, ())
        events.get_event()
        extra = events.get_event()
        if type(extra).__name__ != "StreamEndEvent":
            raise self._stop(SEVERAL_DOCUMENTS, extra, phrase("a second YAML document starts here"),
                             phrase("one spec per file"))  # fmt: skip
        assert isinstance(data, dict)
        return data

    def _documents(self) -> list[Parsed]:
        documents = []
        root: Any
        self._parser.get_event()
        while type(self._parser.get_event()).__name__ != "StreamEndEvent":
            root = self._parser.get_event()
            self.keys, self.values, self._anchors = {}, {}, {}
            if type(root).__name__ == "MappingStartEvent":
                data = self._collection(root, ())
                documents.append(Parsed(data, self.keys, self.values))
            elif type(root).__name__ == "SequenceStartEvent" or root.value:
                raise self._stop(
                    NO_MAPPING, root, phrase("a document of the file is not a mapping"), phrase("remove it")
                )
            self._parser.get_event()
        return documents

    def _collection(self, event: Any, path: Path) -> Any:
        """The collection that `event` opens; its children are built with an explicit stack."""
        root = self._new(event)
        stack: list[tuple[Any, Path, Any, str | None]] = [(root, path, event, event.anchor)]
        self._opened(event.anchor)
        while stack:
            node, where, opener, anchor = stack[-1]
            event = self._parser.get_event()
            kind = type(event).__name__
            if kind in ("MappingEndEvent", "SequenceEndEvent"):
                stack.pop()
                self._closed(anchor, node)
                begin, end = opener.start_mark, event.end_mark
                if kind == "MappingEndEvent" and opener.flow_style is False:
                    end = begin
                self.values[where] = Mark(begin.line + 1, begin.column + 1, end.line + 1, end.column + 1)
                continue
            key: str | int = len(node)
            if type(node) is dict:
                key, event, kind = self._key(event, kind, node, where)
            child = (*where, key)
            if kind in ("MappingStartEvent", "SequenceStartEvent"):
                if len(stack) >= MAX_DEPTH:
                    raise self._stop(TOO_DEEP, event,
                                     phrase("nested deeper than {max_depth} levels", max_depth=MAX_DEPTH),
                                     phrase("flatten it"))  # fmt: skip
                self._counted(event, 1)
                value = self._new(event)
                self._opened(event.anchor)
                stack.append((value, child, event, event.anchor))
            else:
                value = self._scalar_or_alias(event, kind)
                self.values[child] = mark_of(event)
            if type(node) is dict:
                node[key] = value
            else:
                node.append(value)
        return root

    def _key(self, event: Any, kind: str, node: dict[str, Any], where: Path) -> tuple[str, Any, str]:
        if kind != "ScalarEvent":
            raise self._no_key(event)
        key: str = event.value
        if key == "<<" and event.implicit[0]:
            raise self._stop(
                NOT_PLAIN,
                event,
                phrase("merge keys (<<) are not supported"),
                phrase("name the fields one by one: an alias does it for a whole field, such as env: *env"),
            )
        path: Path = (*where, key)
        if key in node:
            first = self.keys[path]
            self.findings.append(Finding(REPEATED_KEY, self.file, mark_of(event),
                                         phrase("duplicate key {key}, first set on line {line}", key=key,
                                                line=first.line), phrase("keep one of the two"), path))  # fmt: skip
        else:
            self.keys[path] = mark_of(event)
            if len(self.keys) > self._most_keys:
                raise self._stop(TOO_DEEP, event,
                                 phrase("the file has more than {most_keys} keys", most_keys=self._most_keys),
                                 phrase("keep only the spec in it"))  # fmt: skip
        value = self._parser.get_event()
        return key, value, type(value).__name__

    def _no_key(self, event: Any) -> Stop:
        if self.text[event.start_mark.index - 1 : event.start_mark.index + 1] == "{{":
            message = phrase("{{{{…}}}} is a template's, and nobody fills it in")
            return self._stop(NOT_PLAIN, event, message, phrase("write the value itself"))
        message = phrase("a key must be a plain string")
        return self._stop(NOT_PLAIN, event, message, phrase("write one key: value pair per line"))

    def _new(self, event: Any) -> Any:
        if event.tag is not None and event.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"):
            raise self._stop(NOT_PLAIN, event, phrase("tag {tag} is not supported", tag=event.tag),
                             phrase("remove the tag"))  # fmt: skip
        return {} if type(event).__name__ == "MappingStartEvent" else []

    def _opened(self, anchor: str | None) -> None:
        if anchor:
            self._open.add(anchor)
            self._anchors.pop(anchor, None)

    def _closed(self, anchor: str | None, value: Any) -> None:
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, _size(value))

    def _counted(self, event: Any, size: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            raise self._stop(TOO_DEEP, event,
                             phrase("the file expands to more than {max_values} values", max_values=MAX_VALUES),
                             phrase("remove the aliases"))  # fmt: skip

    def _scalar_or_alias(self, event: Any, kind: str) -> Any:
        if kind == "AliasEvent":
            if event.anchor in self._open:
                raise self._stop(TOO_DEEP, event, phrase("alias *{anchor} contains itself", anchor=event.anchor),
                                 phrase("remove the alias"))  # fmt: skip
            if event.anchor not in self._anchors:
                raise self._stop(NOT_PLAIN, event,
                                 phrase("alias *{anchor} has no anchor before it", anchor=event.anchor),
                                 phrase("write the value"))  # fmt: skip
            value, size = self._anchors[event.anchor]
            self._repeated += size.characters
            if self._repeated > MAX_ALIASED:
                message = phrase("aliases repeat more than {max_aliased} characters", max_aliased=MAX_ALIASED)
                raise self._stop(TOO_DEEP, event, message, phrase("remove the aliases"))
            self._counted(event, size.values)
            return value
        self._counted(event, 1)
        value = self._scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = (value, _Size(1, len(event.value)))
        return value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is not None:
            if tag in ("tag:yaml.org,2002:str", "!"):
                return text
            raise self._stop(NOT_PLAIN, event, phrase("tag {tag} is not supported", tag=tag), phrase("remove the tag"))
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        first = text[0]
        return _number(text) if first.isdigit() or first in "+-." else text


def _number(text: str) -> float | str:
    """The number that a plain text writes, or the text. Most are digits alone, for which no pattern is compiled."""
    if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
        return int(text)
    if text[0] in "+-" and re.fullmatch(_SIGNED, text):
        return int(text)
    if text[:2] in ("0o", "0x") and re.fullmatch(_RADIX, text):
        return int(text, 0)
    return float(text) if re.fullmatch(_FLOAT, text) else text


def mark_of(event: Any) -> Mark:
    """Where an event of a parser stands."""
    begin, end = event.start_mark, event.end_mark
    return Mark(begin.line + 1, begin.column + 1, end.line + 1, end.column + 1)


class _Size(NamedTuple):
    """What an alias adds: values, and characters of their texts and keys."""

    values: int
    characters: int


def _size(value: Any) -> _Size:
    """The size of a collection; bounded because each alias in it was counted when it was built."""
    values, characters, rest = 0, 0, [value]
    while rest and values <= MAX_VALUES:
        item = rest.pop()
        values += 1
        if isinstance(item, dict):
            rest.extend(item.values())
            characters += sum(map(len, item))
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, str):
            characters += len(item)
    return _Size(values, characters)
