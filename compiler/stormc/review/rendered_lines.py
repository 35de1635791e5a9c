"""Which field every line of a rendered file belongs to.

Reads the one form in which stormc writes YAML (emit/canonical.py), so it needs no parser: two spaces per level, a list
deeper than its key, long texts as literal blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.finding import Path

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^']|'')*'")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}


def line_paths(text: str) -> Iterator[Path]:
    """The path of each line, lists by position; empty for comments. All lines of a text block have its path."""
    stack: list[tuple[int, str | int]] = []
    block: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if block is not None and (not line.strip() or indent > block):
            yield tuple(step for _, step in stack)
            continue
        block = None
        content = line[indent:]
        if content.startswith("#"):
            yield ()
            continue
        deepest = indent
        while content == "-" or content.startswith("- "):
            _enter_item(stack, indent)
            deepest = indent
            indent, content = indent + 2, content[2:]
        key, rest = _key(content)
        if key is not None:
            _drop(stack, indent)
            stack.append((indent, key))
            deepest = indent
        if (rest if key is not None else content).startswith("|"):
            block = deepest
        yield tuple(step for _, step in stack)


def _enter_item(stack: list[tuple[int, str | int]], indent: int) -> None:
    while stack and stack[-1][0] > indent:
        stack.pop()
    if stack and stack[-1][0] == indent and isinstance(stack[-1][1], int):
        stack[-1] = (indent, stack[-1][1] + 1)
    else:
        stack.append((indent, 0))


def _drop(stack: list[tuple[int, str | int]], indent: int) -> None:
    while stack and stack[-1][0] >= indent:
        stack.pop()


def _key(content: str) -> tuple[str | None, str]:
    """The key that a line begins with and what follows it; no key where the line is an item of a list."""
    if match := _QUOTED.match(content):
        rest = content[match.end() :]
        return (_unquoted(match[0]), rest[1:].strip()) if rest.startswith(":") else (None, "")
    key, colon, rest = content.partition(": ")
    if colon:
        return key, rest
    return (content[:-1], "") if content.endswith(":") else (None, "")


def _unquoted(text: str) -> str:
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    return _ESCAPE.sub(lambda m: _LETTERS.get(m[3], m[3]) if m[3] else chr(int(m[1] or m[2], 16)), text[1:-1])
