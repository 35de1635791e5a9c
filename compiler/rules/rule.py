"""What a rule is: a stable id, a check whose docstring explains it to users, a source, and examples that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from compiler.finding import Path
from compiler.spec.app import App
from compiler.spec.profile import Platform


class Violation(NamedTuple):
    """One breach of a rule at a path of the spec; the position is looked up by the caller."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


class Example(NamedTuple):
    """A few spec fields laid over a valid app; `at` is the dotted path of the finding they must cause."""

    spec: str
    at: str = ""
    platform: str = ""


class Rule(NamedTuple):
    """A check of one app. The first line of its docstring is the title, the rest tells why it matters.

    A bad example must cause exactly findings of this id, the first one at its path; a good one must cause none.
    """

    id: str
    check: Callable[[App, Platform], Iterator[Violation]]
    source: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]

    @property
    def title(self) -> str:
        """The first line of the check's docstring."""
        return (self.check.__doc__ or "").strip().split("\n")[0]
