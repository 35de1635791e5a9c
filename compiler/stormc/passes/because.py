"""Why a rendered field has its value: the spec fields that decide it, the fact behind it, and who demands it.

A reason is a constant beside the pass that writes the field, so it costs nothing where nobody asks. It names fields
of the spec by pattern; `origins.py` fills the pattern in, adds what holds where a field is not set
(`model/precedence.py`), and puts the field that decided first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.finding import Path, dotted
from stormc.record import NamedTuple

ROLE = "<role>"
"""Stands in a pattern for the role that the edit's path leads through."""
KEY = "<key>"
"""Stands in a pattern for the last step of the edit's path: a label, a variable of the environment."""
FLAG = "<flag>"
"""Stands in a pattern for the last step of the edit's path without its `--`."""

LOCAL_RANKS = ("distributedDp", "dataParallel", "podGroupSize")
"""The fields of a role that decide how many data-parallel ranks a pod has, and whether each has a port of its own."""


class Because(NamedTuple):
    """Why a field has its value.

    `fields` are the spec fields that decide the value, `exists_if` those that decide whether the field is there at all.
    Together they are complete: a change of any other field leaves the rendered field as it is. `fact` names what
    is not the spec's: "hardware.npus", "platform.namespace", "default", or whose demand a constant is ("aibrix").
    `source` is the document or code that demands it. `exists_if_fact` names a fact of the platform that decides whether
    the field is there: "platform.mindcluster".
    """

    fields: tuple[Path, ...] = ()
    fact: str = ""
    source: str = ""
    exists_if: tuple[Path, ...] = ()
    exists_if_fact: str = ""

    @property
    def takes_key(self) -> bool:
        """Whether a field is a pattern for the key, or the flag, that is written."""
        return any(KEY in field or FLAG in field for field in (*self.fields, *self.exists_if))

    def in_words(self) -> str:
        """The reason for people, on one line: `prefill.image, image`, `default (docs/spec.md)`."""
        decided = ", ".join(dotted(field) or "the whole spec" for field in self.fields)
        parts = [part for part in (decided, self.fact) if part]
        return "; ".join(parts) + (f" ({self.source})" if self.source else "")


Reason = Because | Mapping[tuple[Any, ...], Because]
"""Why an edit has its value; a table where the parts of the value have different reasons, by path below the edit.

The entry for the longest path holds; the empty path is for everything else.
"""


def of(*fields: Path, exists_if: tuple[Path, ...] = (), exists_if_fact: str = "") -> Because:
    """The reason of a value that spec fields decide."""
    return Because(fields, exists_if=exists_if, exists_if_fact=exists_if_fact)


def fact(
    name: str, source: str, *fields: Path, exists_if: tuple[Path, ...] = (), exists_if_fact: str = ""
) -> Because:  # fmt: skip
    """The reason of a value that only a fact decides, or a fact together with some spec fields."""
    return Because(fields, name, source, exists_if, exists_if_fact)
