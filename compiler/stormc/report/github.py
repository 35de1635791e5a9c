"""Findings as workflow commands, which GitHub shows as annotations of a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Finding, Severity
from stormc.report import Report, texts
from stormc.report.escape import escaped, one_line

PER_LEVEL = 10
"""Annotations that GitHub keeps per step and level (GitHub docs, "Usage limits, billing, and administration")."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def lines(report: Report) -> Iterator[str]:
    """The most severe findings first, no more than GitHub shows; a notice, itself one of them, counts the rest."""
    by_level = {severity: [f for f in report.findings if f.severity == severity] for severity in Severity}
    left_out = any(len(of_level) > PER_LEVEL for of_level in by_level.values())
    room = {Severity.INFO: PER_LEVEL - 1} if left_out else {}
    shown = {severity: of_level[: room.get(severity, PER_LEVEL)] for severity, of_level in by_level.items()}
    for of_level in shown.values():
        yield from (_command(finding, report.language) for finding in of_level)
    if left_out:
        rest = len(report.findings) - sum(map(len, shown.values()))
        yield f"::notice title=stormc::{rest} more findings; run stormc validate to see them all"


def annotation(level: str, title: str, text: str) -> str:
    """A workflow command of a level (error, warning, notice) that shows a text, wherever it comes from."""
    return f"::{level} title={_property(one_line(title))}::{_data(escaped(text))}"


def _command(finding: Finding, language: str) -> str:
    mark = finding.mark
    fields: dict[str, str | int] = {"file": finding.file, "line": mark.line, "endLine": mark.end_line}
    if mark.line == mark.end_line:  # GitHub refuses columns of a stretch over several lines
        fields |= {"col": mark.column, "endColumn": mark.end_column}
    fields["title"] = finding.rule
    properties = ",".join(f"{name}={_property(one_line(str(value)))}" for name, value in fields.items())
    message = escaped("\n".join(filter(None, texts(finding, language))))
    return f"::{_LEVELS[finding.severity]} {properties}::{_data(message)}"


def _data(text: str) -> str:
    """As actions/toolkit escapes the data of a command (packages/core/src/command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
