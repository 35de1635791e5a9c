"""Findings for programs: one JSON document, described in docs/findings.md."""

from __future__ import annotations

import json
from collections.abc import Iterator

from stormc.report import Report, severities, texts
from stormc.report.escape import escaped_json

VERSION = 1
"""Grows when a field is removed or changes its meaning; further fields may appear at any time."""


def lines(report: Report) -> Iterator[str]:
    """The document: keys in a fixed order, ASCII only, so that any file name survives."""
    findings = [
        {
            "rule": finding.rule, "severity": finding.severity, "file": finding.file,
            "line": finding.mark.line, "column": finding.mark.column,
            "endLine": finding.mark.end_line, "endColumn": finding.mark.end_column,
            "path": list(finding.path), "message": message, "hint": hint,
        }
        for finding in report.findings
        for message, hint in [texts(finding, report.language)]
    ]  # fmt: skip
    summary = {"apps": report.apps, **{f"{name}s": n for name, n in severities(report.findings).items()}}
    yield escaped_json(json.dumps({"version": VERSION, "findings": findings, "summary": summary}, indent=2))
