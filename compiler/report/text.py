"""Findings for people: `file:line:column: rule message`, and the hint on a line of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.finding import Finding


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """The text of findings, a line each and one for the hint; control characters are shown, not sent to a terminal."""
    for finding in findings:
        yield _printable(f"{finding.file}:{finding.mark.line}:{finding.mark.column}: {finding.rule} {finding.message}")
        if finding.hint:
            yield _printable(f"    {finding.hint}")


def count(findings: Iterable[Finding]) -> str:
    """`2 errors, 1 warning`, or `no findings`."""
    numbers: dict[str, int] = {}
    for finding in findings:
        numbers[finding.severity] = numbers.get(finding.severity, 0) + 1
    parts = [
        f"{numbers[severity]} {severity}{'' if numbers[severity] == 1 else 's'}"
        for severity in ("error", "warning", "info")
        if severity in numbers
    ]
    return ", ".join(parts) or "no findings"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
