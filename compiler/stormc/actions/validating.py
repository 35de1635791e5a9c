"""Validate: what is wrong with specs, and nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Any

from stormc.actions.collector import without_collector
from stormc.actions.committed import committed_memory
from stormc.compile.compilation import Stage
from stormc.finding import Finding
from stormc.load.sources import read_sources
from stormc.payload.read import Payload, read_payload
from stormc.record import NamedTuple
from stormc.repository.judge import judge_all
from stormc.repository.processes import Progress, work_all
from stormc.repository.repository import open_repository
from stormc.repository.selection import affected, select
from stormc.repository.wiring import Wired, wire

if TYPE_CHECKING:
    from stormc.emit.crd import Crd


class Validated(NamedTuple):
    """The result of a validation."""

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

    With `changed`, paths below the specs directory, only the apps that a change of these files touches are looked at.
    With `crd`, a CustomResourceDefinition, the manifests are checked against it too. The other parameters, and what
    is raised, are those of `render`.
    """
    programs, day = payload or read_payload(), today or strftime("%Y-%m-%d")
    with without_collector():
        repository = open_repository(read_sources(specs))
        chosen = select(repository, specs, selected) if changed is None else affected(repository, changed)
        partly = bool(selected) or changed is not None
        held_against = _crd(crd)
        compiled = work_all(
            lambda source: repository.compile(source, programs, Stage.MANIFESTS, held_against).result(),
            chosen, jobs, progress,
        )  # fmt: skip
        summaries = [made.summary for made in compiled if made.summary is not None]
        wired = wire(repository, summaries) if not partly else Wired()
        findings = [f for made in compiled for f in made.findings]
        findings += [*committed_memory(specs.parent), *wired.findings]
        return Validated(len(chosen), judge_all(repository, chosen, summaries, findings, day, partly))


def _crd(data: Mapping[str, Any] | None) -> Crd | None:
    if data is None:
        return None
    from stormc.emit.crd import Crd  # jsonschema takes as long to load as a spec to check

    return Crd(data)
