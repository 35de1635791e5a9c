"""Format: specs in canonical form (`stormc fmt`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stormc.finding import Finding, in_order
from stormc.load.sources import Source, read_sources
from stormc.record import NamedTuple
from stormc.text.format import formatted, stale
from stormc.text.rewrite import refuse_links


class Formatted(NamedTuple):
    """The files that were looked at, the canonical text of those that lack it, and findings.

    `findings` are files without a canonical form; `stale` (E116) stand at the first line of each text that differs.
    """

    files: tuple[str, ...]
    texts: dict[str, str]
    findings: list[Finding]
    stale: list[Finding]


def format_specs(specs: Path, selected: Sequence[Path] = ()) -> Formatted:
    """The canonical form of all specs, or of selected files and directories. Nothing is written.

    Raises Failure without a specs directory, and for a selected file that is a symbolic link.
    """
    sources, findings = _sources(specs, selected)
    texts: dict[str, str] = {}
    differing: list[Finding] = []
    for source in sources:
        text, problems = formatted(source.file, source.raw)
        findings += problems
        finding = stale(source.file, source.raw, text) if text is not None else None
        if text is not None and finding is not None:
            texts[source.file] = text
            differing.append(finding)
    return Formatted(tuple(source.file for source in sources), texts, in_order(findings), in_order(differing))


def _sources(specs: Path, selected: Sequence[Path]) -> tuple[list[Source], list[Finding]]:
    """Every file once, and findings on files that cannot be read."""
    files: list[Source] = []
    findings: list[Finding] = []
    for path in selected or [specs]:
        if path.is_dir() or path == specs:
            sources = read_sources(path)
            findings += sources.findings
            files += sources.files
        else:
            refuse_links(path)
            files.append(Source(path.as_posix(), str(path), path.read_bytes()))
    return list({source.file: source for source in files}.values()), findings
