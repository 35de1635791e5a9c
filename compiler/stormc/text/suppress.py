"""Comments that accept a finding: `# stormc: ignore[W020] reason`, beside the line it is about or above it.

The memory of a render keeps all findings; comments are applied at each report, so that an edited comment counts at
once. A file without the word `stormc:` costs one search in its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stormc.finding import Finding, Mark, Severity, did_you_mean
from stormc.load.document import Document, load_document
from stormc.load.sources import Source
from stormc.phrase import NONE, phrase
from stormc.record import NamedTuple
from stormc.text.checks import NO_ID, NO_REASON, NO_SUPPRESSION, SUPPRESSED_ERROR, UNUSED

_WORD = rb"#[ \t]*stormc:"
_HASH = r"(?:^|(?<=[ \t]))#"
_COMMENT = r"#\s*stormc:\s*(?P<rest>.*)"
_IGNORE = r"ignore\[(?P<ids>[^\]]*)\]\s*(?P<reason>.*)"
_ID = r"[EWI][0-9]{3}"
_SOME_ID = r"\b[EWI][0-9]{3}\b"
_LAST = 1 << 62
"""A line or column after all others."""
MOST_SHOWN = 60
"""Characters of a comment that a hint repeats."""
_FORM = phrase("write # stormc: ignore[W020] and the reason")


class Suppression(NamedTuple):
    """One id that a comment accepts, and the lines of the file for which it does: its own, and the one below it."""

    file: str
    mark: Mark
    rule: str
    lines: tuple[int, ...]


def commented(sources: Iterable[Source]) -> list[Source]:
    """The sources that may hold such a comment."""
    return [source for source in sources if b"stormc:" in source.raw and re.search(_WORD, source.raw)]


def suppressed(
    findings: Iterable[Finding], sources: Iterable[Source], complete: Collection[str], known: Collection[str]
) -> list[Finding]:
    """The findings without those that comments accept, and with those on the comments themselves.

    `complete` names the files of which every finding is among these: only there can a comment be unused. `known` are
    the ids to guess a misspelt one from.
    """
    remaining = list(findings)
    for source in sources:
        document, _ = load_document(source.file, source.raw)
        if document is None:
            continue
        suppressions, problems = read_suppressions(document)
        about = {(f.rule, f.mark.line) for f in remaining if f.file == source.file and f.severity != Severity.ERROR}
        accepted = {(s.rule, line) for s in suppressions for line in s.lines} & about
        remaining = [f for f in remaining if f.file != source.file or (f.rule, f.mark.line) not in accepted]
        remaining += problems
        if source.file in complete:
            unused = [s for s in suppressions if not any((s.rule, line) in accepted for line in s.lines)]
            elsewhere = {f.rule: f.mark.line for f in reversed(remaining) if f.file == source.file}
            remaining += [_unused(s, known, elsewhere, guess=n < MOST_GUESSES) for n, s in enumerate(unused)]
    return remaining


MOST_IDS = 500
"""In one comment: more than there are findings to ignore."""
MOST_GUESSES = 20
"""Misspelt ids of a file whose meaning is guessed: each takes a while."""


def _unused(suppression: Suppression, known: Collection[str], elsewhere: Mapping[str, int], *, guess: bool) -> Finding:
    """The finding on a comment that accepts nothing; `elsewhere` are the lines of the findings that are left."""
    id_ = suppression.rule
    message = phrase("no {id} here to ignore", id=id_)
    if id_ in elsewhere:
        hint = phrase("{id} is on line {line}: move the comment there", id=id_, line=elsewhere[id_])
        return Finding(UNUSED, suppression.file, suppression.mark, message, hint)
    guessed = did_you_mean(id_, known) if guess and id_ not in known else NONE
    hint = phrase("remove the comment") if id_ in known else guessed or phrase("stormc knows no such finding")
    return Finding(UNUSED, suppression.file, suppression.mark, message, hint)


def read_suppressions(document: Document) -> tuple[list[Suppression], list[Finding]]:
    """The suppressions of a file, and findings on comments that are meant as suppressions but are not: E110 to E113."""
    suppressions: list[Suppression] = []
    problems: list[Finding] = []
    lines = document.text.split("\n")
    below: list[int] | None = None
    for number, column, comment in _comments(document, lines):
        match = re.fullmatch(_COMMENT, comment)
        if match is None:
            continue
        mark = Mark(number, column, number, column + len(comment))
        ignore = re.fullmatch(_IGNORE, match["rest"])
        if ignore is None or ignore["ids"].count(",") > MOST_IDS:
            ids = ",".join(re.findall(_SOME_ID, match["rest"])[:MOST_IDS])
            hint = phrase("write # stormc: ignore[{ids}] and the reason", ids=ids) if ids else _FORM
            message = phrase("this comment to stormc has the wrong form")
            problems.append(Finding(NO_SUPPRESSION, document.file, mark, message, hint))
            continue
        if not ignore["reason"]:
            hint = phrase("write # stormc: ignore[{ids}] and the reason", ids=ignore["ids"].strip()[:MOST_SHOWN])
            problems.append(Finding(NO_REASON, document.file, mark, phrase("ignore needs a reason"), hint))
            continue
        alone = not lines[number - 1][: column - 1].strip()
        below = _below(lines) if below is None else below
        about = (number, below[number - 1]) if alone else (number,)
        for id_ in dict.fromkeys(part.strip() for part in ignore["ids"].split(",")):
            if not re.fullmatch(_ID, id_):
                problems.append(
                    Finding(NO_ID, document.file, mark, phrase("{id!r} is no id of a finding", id=id_), _FORM)
                )
            elif id_[0] == "E":
                message = phrase("{id} is an error, and errors cannot be ignored", id=id_)
                problems.append(
                    Finding(SUPPRESSED_ERROR, document.file, mark, message, phrase("correct what it reports"))
                )
            else:
                suppressions.append(Suppression(document.file, mark, id_, about))
    return suppressions, problems


def _below(lines: Sequence[str]) -> list[int]:
    """For each line, the number of the first one below it that is no comment; the last line where there is none."""
    below = [len(lines)] * len(lines)
    for at in range(len(lines) - 2, -1, -1):
        below[at] = below[at + 1] if lines[at + 1].lstrip().startswith("#") else at + 2
    return below


def _comments(document: Document, lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The comments on lines with the word `stormc:`: those that start outside of every scalar."""
    from bisect import bisect  # few specs have such comments

    scalars: list[Mark] | None = None
    for number, line in enumerate(lines, 1):
        if "stormc:" not in line:
            continue
        scalars = sorted(_scalars(document)) if scalars is None else scalars
        for match in re.finditer(_HASH, line):
            here = (number, match.start() + 1)
            before = bisect(scalars, Mark(*here, _LAST, _LAST)) - 1  # scalars do not overlap
            if before < 0 or scalars[before][2:] <= here:
                yield number, here[1], line[match.start() :].rstrip()
                break


def _scalars(document: Document) -> list[Mark]:
    return [
        *document.keys.values(),
        *(mark for path, mark in document.values.items() if not _is_collection(document.data, path)),
    ]


def _is_collection(data: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        data = data[step]
    return isinstance(data, (dict, list))
