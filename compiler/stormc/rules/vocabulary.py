"""Compares a key of a pod with the known ones: is it misspelt, in the wrong table, or a controller's?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from stormc.facts.keys import HUAWEI_PREFIX, Label
from stormc.facts.known_keys import NODE_SELECTOR, TABLES, Key, Use

_COMMON = (Label.JOB,)
"""Known keys that a similar key is no misspelling of: `job-id` and `jobId` are labels that people make up."""

_CLOSE = 0.86
"""The similarity (difflib's ratio) from which a key counts as misspelt: about one wrong letter in ten."""


@cache
def correct_key(table: str, key: str) -> str | None:
    """The known key that an unknown one is a misspelling of, or None."""
    bare = _bare(key)
    near = [name for name in _spellings(table) if _may_be_close(bare, name)] if len(key) > 4 else []
    if not near:
        return None
    from difflib import get_close_matches  # takes as long as ten rules

    close = get_close_matches(bare, near, n=1, cutoff=_CLOSE)
    return _spellings(table)[close[0]] if close else None


def _may_be_close(one: str, other: str) -> bool:
    """Whether the letters of both are so alike that difflib has to compare their order: its bound, without difflib."""
    length = len(one) + len(other)
    if 2.0 * min(len(one), len(other)) / length < _CLOSE:
        return False
    return 2.0 * sum(min(one.count(letter), other.count(letter)) for letter in set(one)) / length >= _CLOSE


@cache
def _spellings(table: str) -> dict[str, str]:
    return {_bare(name): name for name in TABLES[table] if name not in _COMMON}


def _bare(key: str) -> str:
    """The key in lower case and without MindCluster's prefix, which people add and forget."""
    return key.lower().removeprefix(HUAWEI_PREFIX)


@cache
def right_table(table: str, key: str) -> str | None:
    """The table in which a key is known, where that is another one; else None."""
    if key in TABLES[table] or table == "env":
        return None
    if table != "nodeSelector" and key in NODE_SELECTOR and NODE_SELECTOR[key].use is Use.FIELD:
        return "nodeSelector"
    return next((other for other in ("labels", "annotations") if other != table and key in TABLES[other]), None)


@cache
def known_as(*uses: Use) -> Mapping[str, Mapping[str, Key]]:
    """The keys of every table that are known with one of the uses."""
    return {table: {key: known for key, known in keys.items() if known.use in uses} for table, keys in TABLES.items()}
