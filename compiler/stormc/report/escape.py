"""Makes text of a branch safe to print: neither a terminal nor the log of a workflow may obey it.

A terminal obeys control characters. GitHub's runner obeys `::command::` at the start of a line, blanks left out, and
`##[command]` anywhere in one (actions/runner, src/Runner.Common/ActionCommand.cs); Azure Pipelines obeys `##vso[`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_COMMAND = r"##(?=\w*\[)"
_WHOLE = r"##\w*\["
_LONGEST = 40
"""Characters of a command that may lie in different calls: `##vso[`."""
_AT_START = r"(?m)^([ \t]*):(?=:)"


def escaped(text: str, at_start: bool = True) -> str:
    """A text of several lines, made safe; `at_start` tells whether it begins a line."""
    if not text.replace("\n", "").replace("\t", "").isprintable():
        text = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
    if "##" in text:
        text = re.sub(_COMMAND, r"#\\x23", text)
    if "::" in text:
        first, newline, rest = ("", "", text) if at_start else text.partition("\n")
        text = first + newline + re.sub(_AT_START, r"\1\\x3a", rest)
    return text


def one_line(text: str) -> str:
    """A name, a message or a value on one line: line breaks and tabs are shown, too."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def escaped_json(text: str) -> str:
    """A JSON document in ASCII that means the same and holds no command."""
    return re.sub(_COMMAND, r"#\\u0023", text)


class Escaping:
    """A text stream that escapes whatever is written to it; `raw` is the stream below, for what is safe already."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream
        self._blank = True
        self._before = ""

    def write(self, text: str) -> int:
        """Writes the text escaped, a command too that is split over several calls."""
        length, before = len(text), self._before
        self._before = (before + text).rpartition("\n")[2][-_LONGEST:] if "#" in text or before else ""
        both = before + text[:_LONGEST]
        if before and any(match.start() < len(before) < match.end() for match in re.finditer(_WHOLE, both)):
            text = f"\\x{ord(text[0]):02x}{text[1:]}"
        self.raw.write(escaped(text, self._blank))
        last = text.rpartition("\n")[2]
        self._blank = not last.strip() and (self._blank or "\n" in text)
        return length

    def writelines(self, texts: Iterable[str]) -> None:
        """As `write`, for each of them."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def raw(stream: TextIO) -> TextIO:
    """The stream below an escaping one, for what was escaped already or is the program's own."""
    return stream.raw if isinstance(stream, Escaping) else stream


@contextmanager
def escaped_streams() -> Iterator[None]:
    """Standard output and error escape what is printed, until the end of the block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, Escaping(stream)) if stream else stream for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
