"""Mutations of texts: of their lines, their bytes, and of the tree that a YAML file is."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import yaml

WORDS = [
    "null", "[]", "{}", "-1", "0", "1e9", "1e400", ".inf", "'x'", "*a", "&a x", "|", "- ", "  ", "\t", "\x07",
    "é", "${A}",
    "##[error]x", "::error::x", "~", ":", "!!python/name:os.system", "!x", "<<: {a: b}", "? a", "--- ", "...",
    "%YAML 1.1",
    "2027-01-01", "0o17", "1_000", "yes", "9" * 30, "\u2028", "\ufeff", "\x00", "\ud800", "../../etc", "a/b", "$(A)",
]  # fmt: skip
KEYS = [word for word in WORDS if word.isprintable()]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 10**18, 1.5, float("inf"), "", " ", "x", "-x", "x" * 300, "é\x07", "1", "true",
    "2027-13-99",
    "a: b", "${A}", "##[x]", "\n::x::", [], [None], [[]], ["x", "x"], {}, {"": ""}, {"name": None}, {"name": {}}, [{}],
    {"a": {"b": [1, {"c": None}]}},
]  # fmt: skip


def mutated(text: str, pick: random.Random) -> bytes:
    """The text with none to five changes, mostly of one sort."""
    changed = pick.choice((_lines, _lines, _tree, _tree, _tree, _bytes))(text, pick)
    return changed if isinstance(changed, bytes) else changed.encode("utf-8", "surrogatepass")


def _lines(text: str, pick: random.Random) -> str:
    """Lines moved, doubled, cut, or with words put in."""
    lines = text.split("\n")
    for _ in range(pick.choice((0, 1, 1, 1, 1, 2, 5))):
        at = pick.randrange(len(lines))
        action = pick.randrange(5)
        if action == 0:
            lines.insert(pick.randrange(len(lines)), lines[at])
        elif action == 1 and len(lines) > 1:
            del lines[at]
        elif action == 2:
            lines[at] = " " * pick.randrange(12) + lines[at].lstrip()
        elif action == 3:
            column = pick.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + pick.choice(WORDS) + lines[at][column:]
        else:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {pick.choice(WORDS)}"
    return "\n".join(lines)


def _bytes(text: str, pick: random.Random) -> bytes:
    """Bytes changed, cut or doubled; other encodings and line ends."""
    raw = bytearray(text.encode())
    for _ in range(pick.choice((1, 1, 1, 8))):
        at = pick.randrange(len(raw) + 1)
        action = pick.randrange(4)
        if action == 0:
            raw[at:at] = bytes([pick.randrange(256)])
        elif action == 1:
            raw[at : at + pick.randrange(1, 60)] = b""
        elif action == 2:
            raw[at:at] = raw[at : at + pick.randrange(1, 200)]
        else:
            raw[at : at + 1] = pick.choice((b"\r\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc2\x85"))
    whole = bytes(raw)
    recoded: Callable[[], bytes] = pick.choice((
        lambda: whole, lambda: whole, lambda: whole, lambda: whole, lambda: b"\xef\xbb\xbf" + whole,
        lambda: whole.replace(b"\n", b"\r\n"), lambda: text.encode("utf-16"),
    ))  # fmt: skip
    return recoded()


def _tree(text: str, pick: random.Random) -> str:
    """Values of the tree replaced, moved to other places, doubled or taken out."""
    documents = deepcopy(_read(text))
    holders: list[Any] = [node for document in documents for node in _collections(document)]
    for _ in range(pick.choice((1, 1, 1, 1, 2, 4))):
        if not holders:
            break
        node = pick.choice(holders)
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            continue
        key, other = pick.choice(keys), pick.choice(holders)
        action = pick.randrange(5)
        if action == 0:
            del node[key]
        elif action == 1 and isinstance(node, dict):
            node[pick.choice(KEYS)] = deepcopy(pick.choice(VALUES))
        elif action == 2:
            node[key] = deepcopy(other)
        elif action == 3 and isinstance(node, list):
            node.append(node[key])
        else:
            node[key] = deepcopy(pick.choice(VALUES))
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


@cache
def _read(text: str) -> list[Any]:
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]


def _collections(node: Any) -> list[Any]:
    """Every mapping and list of a tree."""
    if not isinstance(node, (dict, list)):
        return []
    return [
        node,
        *(each for value in (node.values() if isinstance(node, dict) else node) for each in _collections(value)),
    ]
