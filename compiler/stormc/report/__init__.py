"""Findings as documents: one module per format, each with `lines(report)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stormc.finding import Finding, Severity
from stormc.languages import ENGLISH, translate
from stormc.record import NamedTuple

FORMATS = ("text", "json", "github", "gitlab", "sarif")


class Report(NamedTuple):
    """What a format is given: findings in order, how many apps were looked at, and how to read a file's lines."""

    findings: Sequence[Finding]
    apps: int
    version: str
    read: Callable[[str], Sequence[str]]
    colour: bool = False
    language: str = ENGLISH
    """Of messages, hints and the titles of rules."""


def texts(finding: Finding, language: str) -> tuple[str, str]:
    """Message and hint in a language; the hint may be empty."""
    return translate(finding.message, language), translate(finding.hint, language)


def severities(findings: Sequence[Finding]) -> dict[Severity, int]:
    """How many findings there are of each severity, the most severe first."""
    return {severity: sum(f.severity == severity for f in findings) for severity in Severity}
