"""Stream: specs become manifests as text, and nothing is written: for pipes, plugins and functions."""

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
from stormc.repository.judge import judge_all
from stormc.repository.repository import Repository, open_repository
from stormc.repository.selection import select
from stormc.repository.wiring import shared_needs

STDIN_FILE = "stdin.yaml"
"""Where a spec from standard input stands below the specs directory, unless its file is named."""


class Streamed(NamedTuple):
    """What was asked for: findings, and the manifests, those that several apps share first; none with errors."""

    apps: int
    findings: list[Finding]
    manifests: list[Mapping[str, Any]]


def stream(
    specs: Path, selected: Sequence[Path] = (), given: str | bytes | None = None, given_file: Path | None = None,
    *, payload: Payload | None = None, today: str | None = None,
) -> Streamed:  # fmt: skip
    """The manifests of specs, what the apps of a namespace share first. Nothing is written.

    `given` is the text of one more spec, as from standard input; `given_file` says which file below `specs` it is to
    be taken for: platform files above that hold for it, and other apps may not have its name. Without, it stands alone
    below the platform file at the top. Raises Failure as `render` does, and for a `given_file` elsewhere.
    """
    sources = read_sources(specs) if specs.is_dir() or given is None else Sources(specs.name, (), ())
    chosen_text = _given(specs, given, given_file) if given is not None else None
    if chosen_text is not None:
        others = [file for file in sources.files if file.path != chosen_text.path and _stands_beside(file, given_file)]
        files = tuple(sorted((*others, chosen_text), key=lambda source: source.path))
        sources = sources._replace(files=files)
    repository = open_repository(sources)
    chosen = [chosen_text] if chosen_text is not None else select(repository, specs, selected)
    partly = bool(selected) or chosen_text is not None
    return stream_apps(repository, chosen, partly, payload or read_payload(), today)


def stream_apps(
    repository: Repository, chosen: Sequence[Source], partly: bool, payload: Payload, today: str | None = None
) -> Streamed:  # fmt: skip
    """The manifests of chosen apps of a repository, which need not be on disk. Raises Failure for a broken payload."""
    compiled = [repository.compile(source, payload, Stage.MANIFESTS) for source in chosen]
    summaries = [made.summary for made in compiled if made.summary is not None]
    findings = [finding for made in compiled for finding in made.findings]
    day = today or strftime("%Y-%m-%d")
    findings = judge_all(repository, chosen, summaries, findings, day, partly)
    if has_errors(findings):
        return Streamed(len(chosen), findings, [])
    return Streamed(len(chosen), findings, [*_shared(repository, summaries, payload), *_own(compiled)])


def _given(specs: Path, given: str | bytes, file: Path | None) -> Source:
    raw = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else given
    if file is None:
        return Source(STDIN_FILE, "<stdin>", raw)
    below = os.path.relpath(os.path.realpath(file), os.path.realpath(specs)).replace(os.sep, "/")
    if below.startswith("../"):
        raise Failure(phrase("{file} is not below {specs}", file=file, specs=specs))
    return Source(below, f"{specs}/{below}", raw)


def _stands_beside(file: Source, given_file: Path | None) -> bool:
    return given_file is not None or file.is_platform or file.is_profile


def _shared(repository: Repository, summaries: Sequence[Summary], payload: Payload) -> Iterator[Mapping[str, Any]]:
    names: dict[str, frozenset[str]] = {}
    for place, needed in shared_needs(repository, summaries).items():
        names[place.namespace] = names.get(place.namespace, frozenset()) | needed
    for namespace, needed in sorted(names.items()):
        yield from shared_objects(payload, namespace, needed)


def _own(compiled: Sequence[Compilation]) -> Iterator[Mapping[str, Any]]:
    for made in compiled:
        if made.compiled is not None:
            yield from made.compiled.manifests
