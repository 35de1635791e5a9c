"""Findings for people: `file:line:column: rule message`, the line of the file with a mark under it, and the hint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from stormc.finding import START, Finding, Severity
from stormc.nouns import errors, infos, warnings
from stormc.phrase import Phrase, listed, phrase, terminal_width
from stormc.report import Report, severities, texts
from stormc.report.escape import one_line

_TAB = 4
_WIDEST = 120
"""Characters of a source line that are shown; of longer ones, a part around the mark."""
_SGR = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}


def lines(report: Report) -> Iterator[str]:
    """The text of findings; control characters are shown, not sent to a terminal."""
    for finding in report.findings:
        message, hint = map(one_line, texts(finding, report.language))
        place = one_line(f"{finding.file}:{finding.mark.line}:{finding.mark.column}:")
        colour = _SGR[finding.severity] if report.colour else ""
        yield f"{_painted(place, '1' if colour else '')} {_painted(finding.rule, colour)} {message}"
        for excerpt, marked in _excerpt(finding, report.read):
            yield _painted(excerpt, colour if marked else "")
        if hint:
            yield f"    {hint}"


_NOUNS = {Severity.ERROR: errors, Severity.WARNING: warnings, Severity.INFO: infos}


def count(findings: Sequence[Finding]) -> Phrase:
    """`2 errors, 1 warning`, or `no findings`."""
    parts = [_NOUNS[severity](number) for severity, number in severities(findings).items() if number]
    return listed(parts) if parts else phrase("no findings")


def wants_colour(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether to colour: on a terminal that can, unless NO_COLOR is set to anything (https://no-color.org)."""
    return terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _excerpt(finding: Finding, read: Callable[[str], Sequence[str]]) -> Iterator[tuple[str, bool]]:
    """The line of the finding and the line that marks the stretch; nothing for a finding about a whole file."""
    mark = finding.mark
    source = read(finding.file) if mark != START else ()
    if mark.line > len(source):
        return
    line = source[mark.line - 1]
    begin = min(mark.column - 1, len(line))
    end = mark.end_column - 1 if mark.end_line == mark.line else len(line.rstrip())
    first = max(0, begin - _WIDEST // 2) if len(line) > _WIDEST else 0
    last = first + _WIDEST
    before, marked = (_visible(line[a:b]) for a, b in ((first, begin), (begin, min(end, last))))
    cut = ("…" if first else "", "…" if len(line) > last else "")
    number = f"{mark.line:5} | "
    blank = " " * (len(number) - 2) + "| "
    whole = _visible(line[first:last])  # not the two parts: a command may lie across where they meet
    yield f"{number}{cut[0]}{whole}{cut[1]}".rstrip(), False
    yield f"{blank}{' ' * terminal_width(cut[0] + before)}{'^' * max(1, terminal_width(marked))}", True


def _visible(text: str) -> str:
    return one_line(text.replace("\t", " " * _TAB))


def _painted(text: str, sgr: str) -> str:
    return f"\033[{sgr}m{text}\033[0m" if sgr else text
