"""The canonical form of specs: keys in the order of docs/spec.md, one way to quote, two spaces; comments stay.

ruamel keeps comments with the value before them, but people write them above what they mean. So keys are put in order
as lines of text, each with the comments above it, and ruamel's round trip does the rest.
"""

from __future__ import annotations

import re
from collections import Counter

from ruamel.yaml.error import MarkedYAMLError

from stormc.finding import START, Finding, Mark
from stormc.load.checks import TOO_LARGE
from stormc.load.document import Document, load_document
from stormc.phrase import phrase, verbatim
from stormc.text.checks import LOST, STALE
from stormc.text.order import ordered
from stormc.text.quotes import set_quotes
from stormc.text.roundtrip import dumped, round_trip
from stormc.text.write import spec_text

MAX_BYTES = 1 << 18
"""A quarter of the limit for specs: ruamel reads and writes the text four times, a microsecond per character."""
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.M)
_LONG_NUMBER = re.compile("[0-9_]{4000}")
_NO_PLACE = phrase("a comment stands where its place cannot be kept")
_OWN_LINE = phrase("move it onto a line of its own")


def formatted(file: str, raw: bytes) -> tuple[str | None, list[Finding]]:
    """The canonical text of a spec, or None and the findings that say why there is none.

    Values and comments are those of the file; where a comment cannot keep its place, that is a finding. A canonical
    text is its own canonical text, and a YAML file without comments always has one.
    """
    document, findings = load_document(file, raw)
    if document is None:
        return None, findings
    if len(raw) > MAX_BYTES:
        message = phrase("file has {length} bytes, the limit is {max_bytes}", length=len(raw), max_bytes=MAX_BYTES)
        return None, [Finding(TOO_LARGE, file, START, message, phrase("keep only the spec in it"))]
    text, problem = _formatted(document)
    if text is None and not _comments(document.text):
        text = spec_text(document.data)
        again, _ = load_document(file, text.encode())
        if again is None or again.data != document.data:
            return None, problem
        text = _formatted(again)[0] or text
    return text, [] if text is not None else problem


def _formatted(document: Document) -> tuple[str | None, list[Finding]]:
    """The canonical text with the comments of a document, or a finding where they cannot keep their places."""
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
        return None, [Finding(LOST, document.file, mark, verbatim(error.problem), phrase("put blanks where tabs are"))]
    except ValueError:  # Python reads no number of more than 4300 digits (sys.set_int_max_str_digits)
        match = _LONG_NUMBER.search(document.text)
        line = document.text.count("\n", 0, match.start() if match else 0) + 1
        mark = Mark(line, 1, line, 1)
        return None, [Finding(LOST, document.file, mark, phrase("a number is too long to be one"), phrase("quote it"))]
    return None, [_misplaced(document, text)]


def _misplaced(document: Document, text: str) -> Finding:
    """A finding at the first comment that the canonical text lacks; at the first comment where it lacks none."""
    unmatched = Counter(_comments(text))
    marks = []
    for number, line in enumerate(document.text.split("\n"), 1):
        for match in _COMMENT.finditer(line):
            mark = Mark(number, match.start() + 1, number, match.end() + 1)
            marks.append(mark)
            words = _words_of(match[0])
            if not unmatched[words]:
                return Finding(LOST, document.file, mark, _NO_PLACE, _OWN_LINE)
            unmatched[words] -= 1
    return Finding(LOST, document.file, marks[0] if marks else START, _NO_PLACE, _OWN_LINE)


def stale(file: str, raw: bytes, text: str) -> Finding | None:
    """A finding at the first line that is not in canonical form, or None."""
    if raw == text.encode():
        return None
    old, new = raw.decode("utf-8-sig", "replace").split("\n"), text.split("\n")
    line = next((n for n, (a, b) in enumerate(zip(old, new, strict=False), 1) if a != b), min(len(old), len(new)))
    return Finding(
        STALE, file, Mark(line, 1, line, 1), phrase("the file is not in canonical form"), phrase("run: stormc fmt")
    )


def _once(document: Document) -> str:
    document = ordered(document)
    root = round_trip().load(document.text)
    set_quotes(root, document.data, document.data, (), in_flow=False)
    return dumped(root).lstrip("\n")


def _comments(text: str) -> list[str]:
    """What follows every `#` that may start a comment, without quotes, as formatting may change those of a string."""
    return sorted(_words_of(match) for match in _COMMENT.findall(text))


def _words_of(comment: str) -> str:
    return re.sub(r"[\s\"']", "", comment)
