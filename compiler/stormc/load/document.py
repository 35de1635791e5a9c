"""YAML text to plain data plus a path → position index, or one clear finding per problem.

PyYAML's C parser (libyaml 0.2) supplies the events; the older one of ruamel.yaml refuses `{url: https://x}`. What it
refuses too, such as `[::1]`, gets a second try with ruamel's slow parser, which knows all of YAML 1.2.
"""

from __future__ import annotations

import io
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from stormc.finding import START, Finding, Mark, Path
from stormc.load.builder import MAX_VALUES, Builder, NotYAML, Stop
from stormc.load.checks import NOT_UTF_8, TOO_LARGE
from stormc.load.libyaml import Parser
from stormc.phrase import phrase
from stormc.record import Record, field

T = TypeVar("T")

MAX_BYTES = 1 << 20
MAX_KEYS = 5_000
"""Keys of a spec: a long one has a few hundred, and each is looked up in every vocabulary."""
MAX_KEYS_OF_OTHERS = MAX_VALUES
"""Keys of a document that another tool wrote."""
SLOW_LENGTH = 16 * 1024
"""Characters that the slow parser reads in well under a second."""

_HIDDEN = "\r(?!\n)|[\x85\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
"""Line ends, marks and changes of direction that a reviewer does not see, and that only some YAML readers obey."""


class Document(Record):
    """One parsed file: plain dicts, lists and scalars, and where each key and value stands."""

    file: str
    data: Mapping[str, Any]
    keys: Mapping[Path, Mark] = field(default_factory=dict)
    values: Mapping[Path, Mark] = field(default_factory=dict)
    text: str = ""

    def locate(self, path: Path) -> Mark:
        """Where the value at the path stands, or else its nearest parent that the file has."""
        for length in range(len(path), 0, -1):
            mark = self.values.get(path[:length])
            if mark is not None:
                return mark
        return START


def load_document(file: str, raw: bytes) -> tuple[Document | None, list[Finding]]:
    """The document of a file, or the findings that tell why there is none; never raises for any bytes.

    `file` is only the name that findings carry. Duplicate keys are findings, the rest of the file is still read.
    """
    try:
        text = _decoded(file, raw)
        builder, data = _parsed(file, text, Builder.build, MAX_KEYS)
    except Stop as stop:
        return None, [*stop.findings]
    if hidden := re.search(_HIDDEN, text) if "\r" in text or not text.isascii() else None:
        from stormc.load.syntax import unseen

        return None, [unseen(file, text, hidden.start())]
    if not text.isascii() and any(_begins_oddly(path[-1]) for path in builder.keys):
        from stormc.load.syntax import odd_indentation

        if odd := list(odd_indentation(file, text)):
            return None, odd
    document = Document(file, data, builder.keys, builder.values, text)
    return (None if builder.findings else document), builder.findings


def _begins_oddly(key: str | int) -> bool:
    """Whether a key begins with a space of another kind, which no reader of YAML takes for indentation."""
    return isinstance(key, str) and key[:1] > "~" and key[:1].isspace()


def load_documents(file: str, raw: bytes) -> tuple[list[Document], list[Finding]]:
    """All mappings of a file that others made, such as `kubectl get -o yaml` prints, and what is wrong with it.

    Of duplicate keys the last counts, as PyYAML and thereby MindCluster's k8s-deploy-tool read them; each is a finding.
    After any other finding there are no documents.
    """
    try:
        text = _decoded(file, raw)
        builder, parsed = _parsed(file, text, Builder.build_all, MAX_KEYS_OF_OTHERS)
        return [Document(file, *document, text) for document in parsed], builder.findings
    except Stop as stop:
        return [], [*stop.findings]


def _parsed(file: str, text: str, read: Callable[[Builder], T], keys: int) -> tuple[Builder, T]:
    """The builder that has read the text, and what it read."""

    try:
        builder = Builder(file, text, lambda: Parser(text.encode()), keys)
        return builder, read(builder)
    except NotYAML as refused:
        if len(text) > SLOW_LENGTH:
            raise
        from ruamel.yaml.error import YAMLError

        builder = Builder(file, text, lambda: _Slow(text), keys)
        try:
            return builder, read(builder)
        except (NotYAML, YAMLError, ValueError):  # ValueError: an escape beyond U+10FFFF, or of half a character
            raise refused from None


class _Slow:
    """ruamel's parser, which reads more than libyaml does; like that it refuses an escape of half a character."""

    def __init__(self, text: str) -> None:
        from ruamel.yaml import YAML  # costs more than most files

        self._parser = YAML(typ="safe", pure=True).get_constructor_parser(io.StringIO(text))[1]

    def get_event(self) -> Any:
        """The next event. Raises UnicodeEncodeError for a text that no file can hold."""
        event = self._parser.get_event()
        if type(event).__name__ == "ScalarEvent":
            event.value.encode()
        return event


def _decoded(file: str, raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise Stop(Finding(TOO_LARGE, file, START, phrase("file has {length} bytes, the limit is {max_bytes}",
                                                           length=len(raw), max_bytes=MAX_BYTES),
                            phrase("keep only the spec in it")))  # fmt: skip
    content = raw.removeprefix(BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        head = content[: error.start]
        line, column = head.count(b"\n") + 1, error.start - (head.rfind(b"\n") + 1) + 1
        mark = Mark(line, column, line, column + 1)
        hint = phrase("save the file as UTF-8")
        raise Stop(
            Finding(NOT_UTF_8, file, mark, phrase("not UTF-8: byte 0x{raw:02x}", raw=content[error.start]), hint)
        ) from None
