"""Why a text is no YAML, in the words of whoever typed it.

A parser says where it gave up, which is often lines after the mistake. Each function here knows one mistake and finds
its place; only files that do not parse come here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from stormc.finding import START, Finding, Mark
from stormc.load.checks import NOT_PLAIN
from stormc.phrase import Phrase, phrase
from stormc.record import NamedTuple

_FULL_WIDTH = re.compile(r"""^\s*(?:-\s+)?["'“”]?(?P<key>[\w./-]+)["'“”]?\s*(?P<colon>：)""")
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$|^={7}$", re.MULTILINE)
_LONGEST = 1_000
"""Longer lines are no person's, and the next three patterns can take time by the square of a line's length."""
_FULL_WIDTH_COMMA = re.compile(r"""^[^"'#]*[\[{][^"'#]*?(?P<comma>[，、])""")
_NO_START = re.compile(r"(?:[:,\[{]|-)\s+(?P<value>(?P<character>[@`%])[^\s,\]}]*)|[\[{](?P<first>[@`%])")
_IN_BRACES = re.compile(r"[:,\[{]\s*(?P<value>[^\s\"'\[\]{},#][^\s\"'\[\]{},]*[\[{])")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INDENTED = re.compile(r"^ *(?P<character>[\t\xa0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
_NO_SPACE = re.compile(r"^\s*(?:-\s+)?(?P<key>[A-Za-z][\w.-]*):(?P<value>(?:[^\s:/]|[\xa0\u3000])[^:]*)$")
_NO_COLON = re.compile(r"^\s*(?:-\s+)?(?P<key>[A-Za-z][\w.-]*)(?P<gap>\s*=\s*|\s+)(?P<value>[^\s:=][^:]*)$")
_TWO_COLONS = re.compile(r"^\s*(?:-\s+)?(?P<key>[A-Za-z][\w.-]*):\s+(?P<value>[^\s\"'\[{|>][^\"]*:(?:\s.*|$))$")
_OPENED = re.compile(r"""(?P<before>\s*(?:-\s+)*(?:[\w./-]+:\s+)?)(?P<opening>["'\[{])""")
_NAMES = {
    "\t": phrase("a tab"), "\xa0": phrase("a no-break space (U+00A0)"),
    "\u3000": phrase("an ideographic space (U+3000)"), "\ufeff": phrase("a byte order mark (U+FEFF)"),
}  # fmt: skip
_DOUBLE, _SINGLE = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL), re.compile(r"(?:[^']|'')*'")
_AFTER_QUOTE = re.compile(r"[ \t]*(?:#.*|[,\]}:].*)?(?:\n|\Z)")
_IN_BRACKETS = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?<=\s)\#[^\n]*|[\[\]{}]|\n(?P<next>[^\n]*)""", re.DOTALL
)
_KEY = re.compile(r"\s*[A-Za-z][\w.-]*:(\s|$)")


class _Line(NamedTuple):
    """A line that is no comment and not empty; the number counts from 1, the text has no comment at its end."""

    number: int
    indent: int
    text: str


def explained(file: str, text: str, line: int) -> list[Finding]:
    """What is wrong with a text that a parser gave up at a line, at the place of the mistake; empty if nobody knows.

    Several findings only where they are independent.
    """
    if characters := [*_conflict(file, text), *full_width_colons(file, text), *odd_indentation(file, text)]:
        return characters
    lines = text.split("\n")
    mistakes = (_unquoted, _second_colon, _colon_without_space, _no_colon, _item_beside_key)
    nearest = next((finding for mistake in mistakes if (finding := mistake(file, lines, line))), None)
    return [finding for finding in (nearest or _unclosed(file, text) or _uneven(file, lines, line),) if finding]


def full_width_colons(file: str, text: str) -> Iterator[Finding]:
    """The keys that a full-width colon (U+FF1A) separates from their values, as input methods type it."""
    for number, line in enumerate(text.split("\n") if "：" in text else (), 1):
        match = _FULL_WIDTH.match(line)
        if match:
            message = phrase("full-width colon '：' (U+FF1A) after {key}", key=match["key"])
            hint = phrase("write '{key}: ' with an ASCII colon and a space", key=match["key"])
            yield _at(file, number, match.start("colon") + 1, message, hint)


def _conflict(file: str, text: str) -> Iterator[Finding]:
    """The first of the lines that a merge of Git leaves where both sides changed the same."""
    match = _CONFLICT.search(text)
    if match is not None:
        number = text.count("\n", 0, match.start()) + 1
        hint = phrase("choose what holds, and take out the lines with <<<<<<<, ======= and >>>>>>>")
        yield _at(file, number, 1, phrase("a merge of Git left its conflict here"), hint)


def unprintable(text: str) -> Mark:
    """Where the first character stands that no YAML file may hold; the parser itself does not say."""
    match = _UNPRINTABLE.search(text)
    if not match:
        return START
    line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
    return Mark(line, column, line, column + 1)


def unseen(file: str, text: str, at: int) -> Finding:
    """The finding on a character by which a file says more to some readers than a reviewer sees."""
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    message = phrase("a character that nobody sees: U+{code}", code=f"{ord(text[at]):04X}")
    return _at(file, line, column, message, phrase("remove it, or write it with a backslash in double quotes"))


def _at(file: str, line: int, column: int, message: Phrase, hint: Phrase) -> Finding:
    return Finding(NOT_PLAIN, file, Mark(line, column, line, column + 1), message, hint)


def odd_indentation(file: str, text: str) -> Iterator[Finding]:
    """The first line that something else than spaces indents."""
    for number, line in enumerate(text.split("\n"), 1):
        match = _INDENTED.match(line)
        if match and line.strip():
            character = match["character"]
            other = phrase("a space of another kind (U+{code})", code=f"{ord(character):04X}")
            message = phrase("{what} indents this line", what=_NAMES.get(character, other))
            column = match.start("character") + 1
            yield _at(file, number, column, message, phrase("YAML indents with spaces only"))
            return


def _unquoted(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """A value that begins with a character that YAML keeps for itself, or one in braces that holds brackets itself."""
    if line > len(lines) or len(lines[line - 1]) > _LONGEST:
        return None
    here = _without_comment(lines[line - 1])
    if match := _FULL_WIDTH_COMMA.match(here):
        message = phrase("full-width comma '{comma}' (U+{code:04X})", comma=match["comma"], code=ord(match["comma"]))
        return _at(file, line, match.start("comma") + 1, message, phrase("write an ASCII comma and a space"))
    if match := _NO_START.search(here):
        character = match["character"] or match["first"]
        message = phrase("a value that begins with {character} needs quotes", character=character)
        at = match.start("value") if match["value"] else match.start("first")
        return _at(file, line, at + 1, message, phrase("quote it"))
    if match := _IN_BRACES.search(here):
        message = phrase("in {{…}} and […], a value that holds brackets needs quotes")
        return _at(file, line, match.start("value") + 1, message, phrase("quote it"))
    return None


def _colon_without_space(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """`port:8000` is a text without a key; the parser gives up at the line that follows."""
    for number in range(min(line, len(lines)), max(line - 3, 0), -1):
        match = _NO_SPACE.match(_without_comment(lines[number - 1]))
        if match:
            hint = phrase("write {key}: {value}", key=match["key"], value=match["value"].strip())
            message = phrase("no space after the colon of {key}", key=match["key"])
            return _at(file, number, match.end("key") + 1, message, hint)
    return None


def _no_colon(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """`port 8000` and `port = 8000` are texts that the line below cannot continue."""
    for number in range(min(line, len(lines)), max(line - 2, 0), -1):
        match = _NO_COLON.match(_without_comment(lines[number - 1]))
        if match:
            hint = phrase("write {key}: {value}", key=match["key"], value=match["value"].strip())
            return _at(file, number, match.start("gap") + 1, phrase("no colon after {key}", key=match["key"]), hint)
    return None


def _second_colon(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """`path: a: b` is no value without quotes."""
    match = _TWO_COLONS.match(_without_comment(lines[line - 1])) if line <= len(lines) else None
    if match is None:
        return None
    hint = phrase('quote it: {key}: "{value}"', key=match["key"], value=match["value"])
    message = phrase("a second colon in the value of {key}", key=match["key"])
    return _at(file, line, match.start("value") + 1, message, hint)


def _item_beside_key(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """A key as deep as the `-` of the item above it: one of the two was not meant."""
    lines_to_here = [each for each in _lines(lines) if each.number <= line]
    if not lines_to_here or lines_to_here[-1].number != line or not _KEY.match(lines_to_here[-1].text):
        return None
    indent = lines_to_here[-1].indent
    above = next((each for each in reversed(lines_to_here[:-1]) if each.indent <= indent), None)
    if above is None or above.indent != indent or not above.text.lstrip().startswith("- "):
        return None
    message = phrase("a key beside the list item of line {line}", line=above.number)
    hint = phrase("take the '- ' away there, or indent this line by {wanted}", wanted=indent + 2)
    return _at(file, line, indent + 1, message, hint)


def _unclosed(file: str, text: str) -> Finding | None:
    """The first quote or bracket that opens a value and is closed nowhere, or only by the quote of another value."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) % (len(text) + 1)
        match = _OPENED.match(text, start, end)
        if match is not None:
            opening, after = match["opening"], match.end()
            around = len(match["before"]) - len(match["before"].lstrip(" "))
            closed, culprit = _quoted(text, after) if opening in "\"'" else _bracketed(text, after, around)
            if culprit is not None:
                return _open_at(file, text, culprit)
            end = text.find("\n", closed) % (len(text) + 1)
        start = end + 1
    return None


def _open_at(file: str, text: str, at: int) -> Finding:
    opening = text[at]
    what = {"[": phrase("the list"), "{": phrase("the mapping")}.get(opening, phrase("the text"))
    message = phrase("{what} that begins here with {opening} is not closed", what=what, opening=opening)
    hint = phrase("close it with {closing}", closing={"[": "]", "{": "}"}.get(opening, opening))
    return _at(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), message, hint)


def _quoted(text: str, start: int) -> tuple[int, int | None]:
    """Where a quoted text ends that starts there, or where the quote is that nothing closes.

    A quote that something else follows on its line is the opening one of another value.
    """
    closing = (_DOUBLE if text[start - 1] == '"' else _SINGLE).match(text, start)
    if closing is None or not _AFTER_QUOTE.match(text, closing.end()):
        return start, start - 1
    return closing.end(), None


def _bracketed(text: str, start: int, indent: int) -> tuple[int, int | None]:
    """Where a flow collection ends that starts there, or where the bracket is that nothing closes.

    A key beside the one on whose line it starts ends it, too, and so does the bracket of another kind.
    """
    opened = [start - 1]
    for token in _IN_BRACKETS.finditer(text, start):
        word = token.group()[0]
        if word in "[{":
            opened.append(token.start())
        elif word in "]}":
            innermost = opened.pop()
            if text[innermost] != {"]": "[", "}": "{"}[word]:
                return start, innermost
            if not opened:
                return token.end(), None
        elif word == "\n" and _KEY.match(token["next"]) and _indent(token["next"]) <= indent:
            break
    return start, opened[-1]


def _uneven(file: str, lines: Sequence[str], line: int) -> Finding | None:
    """The line whose indentation fits neither the line above nor what that is part of."""
    lines_to_here = [each for each in _lines(lines) if each.number <= line]
    for above, here in reversed([*pairwise(lines_to_here)][-2:]):
        levels = _levels(lines_to_here, above)
        if here.indent > above.indent and not above.text.endswith((":", "|", ">", "-")):
            expected = above.indent
        elif here.indent < above.indent and here.indent not in levels:
            expected = min(levels, key=lambda level: abs(level - here.indent))
        else:
            continue
        message = phrase("indented by {here}, its neighbours by {wanted}", here=here.indent, wanted=expected)
        return _at(file, here.number, here.indent + 1, message, phrase("indent it by {wanted}", wanted=expected))
    return None


def _levels(lines_to_here: Sequence[_Line], last: _Line) -> list[int]:
    """The indentations of a line and of everything that it is part of."""
    levels = [last.indent]
    for each in reversed([each for each in lines_to_here if each.number < last.number]):
        if each.indent < levels[-1]:
            levels.append(each.indent)
    return levels


def _lines(lines: Sequence[str]) -> Iterator[_Line]:
    for number, line in enumerate(lines, 1):
        text = _without_comment(line)
        if text.strip():
            yield _Line(number, _indent(text), text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _without_comment(line: str) -> str:
    return re.sub(r"(?:^|\s)#.*$", "", line).rstrip()
