"""Findings as SARIF 2.1.0 (OASIS, errata 01), which code scanning services read."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from stormc.digest import digest
from stormc.finding import Finding, Severity, dotted, severity_of
from stormc.reference.ids import explanation_of
from stormc.report import Report, texts
from stormc.report.escape import escaped_json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def lines(report: Report) -> Iterator[str]:
    """The document; fingerprints do not depend on line numbers, so that an alert survives edits above it."""
    ids = sorted({finding.rule for finding in report.findings})
    occurrences: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "stormc",
                "semanticVersion": report.version,
                "rules": [_rule(id_, report.language) for id_ in ids],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "results": [
            _result(finding, ids.index(finding.rule), occurrences, report.language) for finding in report.findings
        ],
    }
    yield escaped_json(json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2))


def _rule(id_: str, language: str) -> dict[str, Any]:
    explanation = explanation_of(id_, language)
    return {
        "id": id_,
        "shortDescription": {"text": explanation.title},
        "fullDescription": {"text": explanation.why},
        "help": {"text": explanation.why},
        "defaultConfiguration": {"level": _LEVELS[severity_of(id_)]},
    }


def _result(finding: Finding, index: int, occurrences: Counter[str], language: str) -> dict[str, Any]:
    mark, location = finding.mark, _location(finding.file)
    same = f"{finding.rule}\0{location['uri']}\0{dotted(finding.path)}"
    occurrences[same] += 1
    region = {
        "startLine": mark.line, "startColumn": mark.column, "endLine": mark.end_line, "endColumn": mark.end_column,
    }  # fmt: skip
    message = "\n".join(filter(None, texts(finding, language)))
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": location, "region": region}}],
        "partialFingerprints": {"stormc/v1": digest(f"{same}\0{occurrences[same]}".encode(errors="surrogateescape"))},
    }


def _location(file: str) -> dict[str, str]:
    """A file below the working directory relative to the repository's root; any other with its whole address."""
    path = os.path.relpath(file)
    if path.startswith(os.pardir + os.sep):
        return {"uri": "file://" + quote(os.fsencode(os.path.abspath(file)))}
    return {"uri": quote(os.fsencode(path)), "uriBaseId": "%SRCROOT%"}
