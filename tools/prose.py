"""Where comments and docstrings stand in a Python file, so that pods get its code alone, every line where it was."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple


class Span(NamedTuple):
    """Bytes of a file, from the first to before the end."""

    start: int
    end: int


_READ_BY_OTHERS = re.compile(r"#!|#.*coding[:=]")
"""Comments that mean something in the first two lines: the shebang and the encoding (PEP 263)."""


def prose_runs(source: bytes) -> list[int]:
    """How many bytes are code, how many then are prose, and so on in turn, to the end of the last prose.

    Without its prose, but with the line ends in it, the file does the same in the same lines. A docstring that must
    stay for the grammar, as the only statement of a body or beside another on its line, loses its words only.
    """
    file = _File(source)
    runs, position = [], 0
    for start, end in _joined(source, sorted([*_comments(file), *_texts(file)])):
        runs += [start - position, end - start]
        position = end
    return runs


class _File:
    """A file and its tokens, whose places are bytes."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
        self.tokens = [
            (token, self._span(token))
            for token in tokenize.tokenize(io.BytesIO(source).readline)
            if token.type in (tokenize.COMMENT, tokenize.STRING)
        ]

    def _span(self, token: tokenize.TokenInfo) -> Span:
        row, column = token.start
        start = self.byte(row, len(token.line[:column].encode()))
        return Span(start, start + len(token.string.encode()))

    def byte(self, row: int, column: int) -> int:
        """The place of a column, in bytes, of a line that is counted from 1."""
        return self._starts[row - 1] + column

    def line(self, span: Span) -> tuple[bytes, bytes]:
        """What stands before a span in its first line, and behind it in its last."""
        before = self.source[self.source.rfind(b"\n", 0, span.start) + 1 : span.start]
        return before, self.source[span.end :].partition(b"\n")[0]

    def with_indent(self, span: Span) -> Span:
        """The span with the spaces before it."""
        return Span(len(self.source[: span.start].rstrip(b" \t")), span.end)


def _comments(file: _File) -> Iterator[Span]:
    for token, span in file.tokens:
        read_by_others = token.start[0] <= 2 and _READ_BY_OTHERS.match(token.string)
        if token.type == tokenize.COMMENT and not read_by_others:
            yield file.with_indent(span)


def _texts(file: _File) -> Iterator[Span]:
    for node in ast.walk(ast.parse(file.source)):
        for body in (value for _, value in ast.iter_fields(node) if isinstance(value, list)):
            texts = [statement for statement in body if is_text(statement)]
            needed = texts[:1] if len(texts) == len(body) and not isinstance(node, ast.Module) else []
            for text in texts:
                span = Span(
                    file.byte(text.lineno, text.col_offset), file.byte(text.end_lineno or 0, text.end_col_offset or 0)
                )
                before, behind = file.line(span)
                if text in needed or before.strip() or behind.partition(b"#")[0].strip():
                    yield from _words(file, span)
                else:
                    yield file.with_indent(span)


def is_text(node: object) -> bool:
    """Whether a statement is a docstring, or a text behind a constant: neither does anything."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _words(file: _File, statement: Span) -> Iterator[Span]:
    """What stands between the quotes. Of three quotes one is enough where the text is in one line."""
    for token, span in file.tokens:
        if token.type == tokenize.STRING and statement.start <= span.start < statement.end:
            quotes = token.string.lstrip("rRuU")
            lines, triple = "\n" in quotes, quotes.startswith(quotes[0] * 3)
            if not lines or triple:
                ends = 3 if lines else 1
                yield Span(span.end - len(quotes.encode()) + ends, span.end - ends)


def _joined(source: bytes, spans: list[Span]) -> list[Span]:
    """The spans that are not empty, with one for those between which are only line ends: these stay in any case."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and not source[joined[-1].end : start].strip(b"\n"):
            start, end = joined[-1].start, max(end, joined.pop().end)
        if start < end:
            joined.append(Span(start, end))
    return joined
