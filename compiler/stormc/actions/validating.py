"""Validate: what is wrong with specs, and nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Any

from stormc.actions.committed_memory import check_committed_memory
from stormc.actions.garbage_collection import without_garbage_collection
from stormc.compile.compilation import Stage
from stormc.finding import Finding
from stormc.load.sources import read_sources
from stormc.payload.read import Payload, read_payload
from stormc.record import NamedTuple
from stormc.repository.findings import collect_findings
from stormc.repository.processes import Progress, work_all
from stormc.repository.repository import open_repository
from stormc.repository.selection import affected, select
from stormc.repository.wiring import Wired, wire

if TYPE_CHECKING:
    from stormc.emit.crd import Crd


class Validated(NamedTuple):
    """How many apps were looked at, and the findings in order."""

    apps: int
    findings: list[Finding]


def validate(
    specs: Path,
    selected: Sequence[Path] = (),
    *,
    changed: Collection[str] | None = None,
    crd: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: Progress = lambda done, total: None,
    payload: Payload | None = None,
    today: str | None = None,
) -> Validated:
    """The findings of all specs, or of the selected files and directories. Nothing is written.

    - `changed`: paths below the specs directory; only apps that a change of these files touches are looked at.
    - `crd`: a CustomResourceDefinition that manifests are checked against too.

    The other parameters, and what is raised, are those of `render`.
    """
    programs, day = payload or read_payload(), today or strftime("%Y-%m-%d")
    with without_garbage_collection():
        repository = open_repository(read_sources(specs))
        chosen = select(repository, specs, selected) if changed is None else affected(repository, changed)
        partly = bool(selected) or changed is not None
        held_against = _crd(crd)
        compiled = work_all(
            lambda source: repository.compile(source, programs, Stage.MANIFESTS, held_against).result(),
            chosen, jobs, progress,
        )  # fmt: skip
        summaries = [app.summary for app in compiled if app.summary is not None]
        wired = wire(repository, summaries) if not partly else Wired()
        findings = [f for app in compiled for f in app.findings]
        findings += [*check_committed_memory(specs.parent), *wired.findings]
        return Validated(len(chosen), collect_findings(repository, chosen, summaries, findings, day, partly=partly))


def _crd(data: Mapping[str, Any] | None) -> Crd | None:
    if data is None:
        return None
    from stormc.emit.crd import Crd  # jsonschema takes as long to load as a spec to check

    return Crd(data)
