"""Findings as GitLab's code quality report, which a merge request shows on the lines that it changes.

The fields are those of GitLab's documentation, "Code Quality report format"; paths are relative to the repository.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator

from stormc.digest import digest
from stormc.finding import Severity
from stormc.report import Report, texts
from stormc.report.escape import escaped_json

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def lines(report: Report) -> Iterator[str]:
    """One document. Fingerprints depend neither on lines nor on the language, so that a finding stays the same one."""
    occurrences: Counter[str] = Counter()
    entries = []
    for finding in report.findings:
        path = os.path.normpath(finding.file)
        key = digest(
            finding.rule.encode(),
            path.encode("utf-8", "surrogateescape"),
            finding.message.encode("utf-8", "surrogatepass"),
        )
        occurrences[key] += 1
        entries.append({
            "description": " ".join(filter(None, texts(finding, report.language))),
            "check_name": finding.rule,
            "fingerprint": digest(key.encode(), str(occurrences[key]).encode()),
            "severity": _SEVERITIES[finding.severity],
            "location": {"path": path, "lines": {"begin": finding.mark.line, "end": finding.mark.end_line}},
        })  # fmt: skip
    yield escaped_json(json.dumps(entries, indent=2))
