"""Stream: specs become manifests in memory; nothing is written. For pipes, plugins and functions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import strftime
from typing import Any

from stormc.compile.compilation import Compilation, Stage
from stormc.failure import Failure
from stormc.finding import Finding, has_errors
from stormc.load.sources import Source, Sources, read_sources
from stormc.model.summary import Summary
from stormc.payload.objects import shared_objects
from stormc.payload.read import Payload, read_payload
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.repository.findings import collect_findings
from stormc.repository.repository import Repository, open_repository
from stormc.repository.selection import select
from stormc.repository.wiring import shared_needs

STDIN_FILE = "stdin.yaml"
"""The place below the specs directory of a spec that is given as text, unless `spec_file` names another."""


class Streamed(NamedTuple):
    """How many apps were compiled, findings, and the manifests, those that apps share first; none with errors."""

    apps: int
    findings: list[Finding]
    manifests: list[Mapping[str, Any]]


def stream(
    specs: Path, selected: Sequence[Path] = (), spec_text: str | bytes | None = None, spec_file: Path | None = None,
    *, payload: Payload | None = None, today: str | None = None,
) -> Streamed:  # fmt: skip
    """The manifests of the selected specs (none selected: all). Nothing is written.

    - `spec_text`: a spec that is compiled instead of those on disk, as from an editor or standard input.
    - `spec_file`: the file below `specs` that the text stands for. Platform files above it hold for it, and no other
      app may have its name. Without one, the text stands alone below the platform file at the top.

    Raises Failure as `render` does, and for a `spec_file` that is not below `specs`.
    """
    sources = read_sources(specs) if specs.is_dir() or spec_text is None else Sources(specs.name, (), ())
    text_source = _given(specs, spec_text, spec_file) if spec_text is not None else None
    if text_source is not None:
        others = [file for file in sources.files if file.path != text_source.path and _stands_beside(file, spec_file)]
        files = tuple(sorted((*others, text_source), key=lambda source: source.path))
        sources = sources._replace(files=files)
    repository = open_repository(sources)
    chosen = [text_source] if text_source is not None else select(repository, specs, selected)
    partly = bool(selected) or text_source is not None
    return stream_apps(repository, chosen, payload or read_payload(), today, partly=partly)


def stream_apps(
    repository: Repository, chosen: Sequence[Source], payload: Payload, today: str | None, *, partly: bool
) -> Streamed:  # fmt: skip
    """The manifests of chosen apps of a repository, which need not be on disk. Raises Failure for a broken payload."""
    compiled = [repository.compile(source, payload, Stage.MANIFESTS) for source in chosen]
    summaries = [compilation.summary for compilation in compiled if compilation.summary is not None]
    findings = [finding for compilation in compiled for finding in compilation.findings]
    day = today or strftime("%Y-%m-%d")
    findings = collect_findings(repository, chosen, summaries, findings, day, partly=partly)
    if has_errors(findings):
        return Streamed(len(chosen), findings, [])
    return Streamed(len(chosen), findings, [*_shared(repository, summaries, payload), *_own(compiled)])


def _given(specs: Path, spec_text: str | bytes, spec_file: Path | None) -> Source:
    raw = spec_text.encode("utf-8", "surrogateescape") if isinstance(spec_text, str) else spec_text
    if spec_file is None:
        return Source(STDIN_FILE, "<stdin>", raw)
    below = os.path.relpath(os.path.realpath(spec_file), os.path.realpath(specs)).replace(os.sep, "/")
    if below.startswith("../"):
        raise Failure(phrase("{file} is not below {specs}", file=spec_file, specs=specs))
    return Source(below, f"{specs}/{below}", raw)


def _stands_beside(file: Source, spec_file: Path | None) -> bool:
    return spec_file is not None or file.is_platform or file.is_profile


def _shared(repository: Repository, summaries: Sequence[Summary], payload: Payload) -> Iterator[Mapping[str, Any]]:
    names: dict[str, frozenset[str]] = {}
    for place, needed in shared_needs(repository, summaries).items():
        names[place.namespace] = names.get(place.namespace, frozenset()) | needed
    for namespace, needed in sorted(names.items()):
        yield from shared_objects(payload, namespace, needed)


def _own(compiled: Sequence[Compilation]) -> Iterator[Mapping[str, Any]]:
    for compilation in compiled:
        if compilation.compiled is not None:
            yield from compilation.compiled.manifests
