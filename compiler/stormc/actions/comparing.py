"""Diff: the specs before and after a change, both compiled with this compiler and compared app by app."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stormc.actions.app_names import is_called, no_app
from stormc.compile.compilation import Compilation, Stage
from stormc.finding import Severity, has_errors
from stormc.history.branching import MAIN_BRANCHES
from stormc.history.trees import Comparison, comparison, read_tree
from stormc.load.document import load_document
from stormc.load.sources import SUFFIXES, PathFilter, Source, Sources, every_file, read_sources, touched_by
from stormc.model.layers import load_minutes
from stormc.payload.read import read_payload
from stormc.repository.namesakes import identify_app
from stormc.repository.repository import Repository, open_repository
from stormc.repository.selection import affected
from stormc.review.diff import AppChange, Kind, Side, compare
from stormc.targets.storm_service import storm_service
from stormc.tree.layout import identity


def diff(
    specs: Path,
    base: str | None = None,
    head: str | None = None,
    apps: Collection[str] = (),
    branches: tuple[str, ...] = MAIN_BRANCHES,
) -> list[AppChange]:
    """The apps that differ between two states of the specs, the gravest effects first.

    - `base`: a commit; without one, where HEAD left the first of `branches` that exists.
    - `head`: a commit; without one, the work tree.
    - `apps`: names, `namespace/name`s or spec paths; empty means all.

    Only apps that a changed file touches are compiled. Raises Failure outside of a Git repository, for a name of no
    commit or app, and where no base can be found.
    """
    compared = comparison(specs, base, head, branches)
    selects = touched_by(compared.changed)
    sides = [open_repository(committed_sources(specs, commit, selects)) for commit in (compared.base, compared.head)]
    if compared.head is None:
        sides[1] = open_repository(read_sources(specs, selects))
    before, after = (_sides(repository, compared) for repository in sides)
    changes = compare(before, after)
    for app in apps:
        if not any(_named(change, {app}) for change in changes):
            _refuse_unknown(specs, compared.head, app)
    return [_with_engine(change, sides[1]) for change in changes if not apps or _named(change, apps)]


def _refuse_unknown(specs: Path, head: str | None, app: str) -> None:
    """Raises Failure where a word means no app of the head. An app that has not changed is fine."""
    repository = open_repository(committed_sources(specs, head) if head is not None else read_sources(specs))
    known = [(identify_app(repository, source), source.file) for source in repository.apps]
    names = [(f"{who.namespace}/{who.name}", file) for who, file in known if who is not None]
    if not any(is_called(app, label, file) for label, file in names):
        raise no_app(app, names)


def _with_engine(change: AppChange, repository: Repository) -> AppChange:
    """The change with what Argo CD or Flux does about objects that leave the tree or move to another Application."""
    if change.before is None or change.kind not in (Kind.REMOVED, Kind.RENAMED, Kind.MOVED):
        return change
    from stormc.gitops.prune import departures, moves, warnings
    from stormc.repository.wiring import wiring_requests

    requests, after = wiring_requests(repository), change.after.files if change.after is not None else {}
    if change.kind is Kind.MOVED:
        return replace(change, engine=tuple(moves(change.before.files, after, requests)))
    leaving = departures(change.before.files, after)
    return replace(change, engine=tuple(warnings(leaving, requests))[1:])


def diff_of_compilers(
    specs: Path, out: Path, base: str | None = None, branches: tuple[str, ...] = MAIN_BRANCHES
) -> list[AppChange]:
    """How the manifests of this stormc differ from those that the base has below `out`, which another stormc rendered.

    All apps are compiled. Raises Failure as `diff` does.
    """
    compared = comparison(specs, base, None, branches)
    committed = read_tree(out, compared.base, SUFFIXES).files if compared.base else {}
    repository, payload = open_repository(read_sources(specs)), read_payload()
    after = {source.path: _side(repository, repository.compile(source, payload)) for source in repository.apps}
    by_file = {repository.sources.spec_file(source): source for source in repository.apps}
    before = {}
    for path, raw in committed.items():
        who = identity(raw)
        source = by_file.get(who.spec_file) if who is not None and who.kind == "StormService" else None
        if source is not None:
            before[source.path] = _rendered(path.rpartition("/")[0], committed, after[source.path])
    return compare(before, after)


def _rendered(directory: str, files: Mapping[str, bytes], after: Side) -> Side:
    """An app as another stormc rendered it; its fields and its spec file are those of `after`."""
    inside = {path: raw for path, raw in files.items() if path.rpartition("/")[0] == directory}
    documents = [load_document(path, raw)[0] for path, raw in inside.items()]
    manifests = [document.data for document in documents if document is not None and "metadata" in document.data]
    metadata = storm_service(manifests)["metadata"]
    label = f"{metadata['namespace']}/{metadata['name']}"
    return Side(label, after.file, after.fields, manifests, inside, after.aibrix, load_minutes=after.load_minutes)


def committed_sources(specs: Path, commit: str | None, selects: PathFilter = every_file) -> Sources:
    """The selected specs as a commit has them; none for None, before the first commit. Raises Failure for no commit."""
    files = read_tree(specs, commit, SUFFIXES, selects).files if commit else {}
    hidden = re.compile(r"(^|/)\.")
    sources = tuple(
        Source(path, f"{specs}/{path}", raw) for path, raw in sorted(files.items()) if not hidden.search(path)
    )
    return Sources(os.path.basename(os.path.realpath(specs)), sources, ())


def _sides(repository: Repository, compared: Comparison) -> dict[str, Side]:
    payload = read_payload()
    changed = affected(repository, compared.changed)
    return {source.path: _side(repository, repository.compile(source, payload, Stage.DRAFT)) for source in changed}


def _side(repository: Repository, compilation: Compilation) -> Side:
    platform = repository.platforms.platform(compilation.source.directory)
    fields: Mapping[str, Any] = compilation.layered.data if compilation.layered is not None else {}
    broken = has_errors(compilation.findings) or compilation.compiled is None or compilation.files is None
    manifests: Sequence[Mapping[str, Any]] | None = None
    if not broken and compilation.compiled is not None:
        manifests = compilation.compiled.manifests
    errors = [f for f in compilation.findings or repository.findings if f.severity is Severity.ERROR] if broken else []
    name, namespace = fields.get("name"), fields.get("namespace", platform.namespace)
    return Side(
        f"{namespace}/{name}" if name else "", compilation.source.file, fields, manifests, compilation.files or {},
        platform.aibrix, tuple(errors), load_minutes(compilation.layered), platform.cluster,
    )  # fmt: skip


def _named(change: AppChange, apps: Collection[str]) -> bool:
    sides = [side for side in (change.before, change.after) if side is not None]
    return change.label in apps or any(is_called(app, side.label, side.file) for app in apps for side in sides)
