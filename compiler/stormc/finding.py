"""What every check reports: one frozen value per problem, at the place where the user typed it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from stormc.phrase import NONE, Phrase, phrase
from stormc.record import NamedTuple

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """How much a finding weighs: only errors stop a render."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Check(NamedTuple):
    """What a room other than the rules can report: an id, what it demands, and why."""

    id: str
    title: str
    why: str


class Mark(NamedTuple):
    """A stretch of a file; lines and columns count from 1, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


START = Mark(1, 1, 1, 1)


class Finding(NamedTuple):
    """One problem: a sentence, the user's own line, one hint. Formatters print it, nothing parses it."""

    rule: str
    file: str
    mark: Mark
    message: Phrase
    hint: Phrase = NONE
    path: Path = ()
    meant: str | None = None
    """The known word that an unknown one at the end of the path is probably meant to be."""

    @property
    def severity(self) -> Severity:
        """The severity of the rule."""
        return severity_of(self.rule)


def severity_of(rule: str) -> Severity:
    """The severity of a rule by the first letter of its id: E, W or I."""
    return {"E": Severity.ERROR, "W": Severity.WARNING}.get(rule[0], Severity.INFO)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings without repetitions, ordered by file, line, column and rule."""
    return sorted(set(findings), key=lambda f: (f.file, f.mark, f.rule, f.message))


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding is an error."""
    return any(f.rule[0] == "E" for f in findings)


def has_warnings(findings: Iterable[Finding]) -> bool:
    """Whether any finding is a warning."""
    return any(f.rule[0] == "W" for f in findings)


def dotted(path: Path) -> str:
    """A path the way people write it: `decode.env.HCCL_IF_IP`, `overrides[0].patch`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def shown(value: object) -> str:
    """A value short enough for a message; never a whole subtree, which might hold a secret."""
    if isinstance(value, dict):
        return phrase("a mapping")
    if isinstance(value, list):
        return phrase("a list")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt or shortened one was probably meant to be."""
    from difflib import get_close_matches

    by_lower = {w.lower(): w for w in sorted(known)}
    longer = [w for w in by_lower if w.startswith(word.lower())] if len(word) >= 4 else []
    if len(longer) == 1:
        return by_lower[longer[0]]
    close = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.7)
    return by_lower[close[0]] if close else None


MOST_GUESSES = 20
"""Unknown words of one sort that are compared with known ones: each takes milliseconds, a file may hold thousands."""


def did_you_mean(word: str, known: Iterable[str]) -> Phrase:
    """A hint that names the closest known word, or all of them when none is close and they are few."""
    words = sorted(known)
    if meant := closest(word, words):
        return phrase("did you mean {meant}?", meant=meant)
    return phrase("known: {words}", words=", ".join(words)) if 0 < len(words) <= 14 else NONE
