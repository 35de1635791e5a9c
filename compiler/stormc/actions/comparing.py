"""What a change does: both sides of a repository compiled with this compiler, and compared app by app."""

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
from stormc.history.trees import Comparison, comparison, read_tree
from stormc.load.document import load_document
from stormc.load.releases import version
from stormc.load.sources import SUFFIXES, PathFilter, Source, Sources, every_file, read_sources, touched_by
from stormc.model.layers import load_minutes
from stormc.payload.read import read_payload
from stormc.repository.namesakes import identity as identity_of
from stormc.repository.repository import Repository, open_repository
from stormc.repository.selection import affected
from stormc.review.diff import AppChange, Kind, Side, compare
from stormc.tree.layout import identity


def diff(
    specs: Path, base: str | None, head: str | None, apps: Collection[str], lines: tuple[str, ...]
) -> list[AppChange]:
    """The apps that differ between a base and a head (None: the work tree), the gravest effects first.

    Only apps that a changed file touches are compiled. `apps` are names, `namespace/name`s or spec paths; empty means
    all. `lines` are the branches that HEAD may come from. Raises Failure where there is nothing to compare with.
    """
    compared = comparison(specs, base, head, lines)
    selects = touched_by(compared.changed)
    sides = [open_repository(committed_sources(specs, commit, selects)) for commit in (compared.base, compared.head)]
    if compared.head is None:
        sides[1] = open_repository(read_sources(specs, selects))
    before, after = (_sides(repository, compared) for repository in sides)
    changes = compare(before, after)
    for app in apps:
        if not any(_named(change, {app}) for change in changes):
            _existing(specs, compared.head, app)
    return [_handed_over(change, sides[1]) for change in changes if not apps or _named(change, apps)]


def _existing(specs: Path, head: str | None, app: str) -> None:
    """Raises Failure where a word means no app of the head at all; that one has not changed is no failure."""
    repository = open_repository(committed_sources(specs, head) if head is not None else read_sources(specs))
    known = [(identity_of(repository, source), source.file) for source in repository.apps]
    names = [(f"{who.namespace}/{who.name}", file) for who, file in known if who is not None]
    if not any(is_called(app, label, file) for label, file in names):
        raise no_app(app, names)


def _handed_over(change: AppChange, repository: Repository) -> AppChange:
    """The change with what Argo CD or Flux does about objects that leave the tree, or go to another Application."""
    if change.before is None or change.kind not in (Kind.REMOVED, Kind.RENAMED, Kind.MOVED):
        return change
    from stormc.gitops.prune import departures, moves, warnings
    from stormc.repository.wiring import wiring_requests

    requests, after = wiring_requests(repository), change.after.files if change.after is not None else {}
    if change.kind is Kind.MOVED:
        return replace(change, engine=tuple(moves(change.before.files, after, requests)))
    leaving = departures(change.before.files, after)
    return replace(change, engine=tuple(warnings(leaving, requests))[1:])


def diff_of_compilers(specs: Path, out: Path, base: str | None, lines: tuple[str, ...]) -> list[AppChange]:
    """What this stormc makes of the specs, compared with what the base has below `out`: another stormc rendered that.

    All apps are compiled. Raises Failure where there is nothing to compare with.
    """
    compared = comparison(specs, base, None, lines)
    committed = read_tree(out, compared.base, SUFFIXES).files if compared.base else {}
    repository, payload = open_repository(read_sources(specs)), read_payload()
    after = {source.path: _side(repository, repository.compile(source, payload)) for source in repository.apps}
    by_file = {repository.sources.spec_file(source): source for source in repository.apps}
    before = {}
    for path, raw in committed.items():
        found = identity(raw)
        source = by_file.get(found.spec_file) if found is not None and found.kind == "StormService" else None
        if source is not None:
            before[source.path] = _rendered(path.rpartition("/")[0], committed, after[source.path])
    return compare(before, after)


def _rendered(directory: str, files: Mapping[str, bytes], after: Side) -> Side:
    """An app as another stormc rendered it; its fields and its file are those of today."""
    inside = {path: raw for path, raw in files.items() if path.rpartition("/")[0] == directory}
    documents = [load_document(path, raw)[0] for path, raw in inside.items()]
    manifests = [document.data for document in documents if document is not None and "metadata" in document.data]
    storm_service = next(m for m in manifests if m["kind"] == "StormService")["metadata"]
    label = f"{storm_service['namespace']}/{storm_service['name']}"
    return Side(label, after.file, after.fields, manifests, inside, after.aibrix, load_minutes=after.load_minutes)


def committed_sources(specs: Path, commit: str | None, selects: PathFilter = every_file) -> Sources:
    """The wanted specs as a commit has them; None is before the first. Raises Failure for a name of no commit."""
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


def _side(repository: Repository, made: Compilation) -> Side:
    platform = repository.platforms.platform(made.source.directory)
    fields: Mapping[str, Any] = made.layered.data if made.layered is not None else {}
    broken = has_errors(made.findings) or made.compiled is None or made.files is None
    manifests: Sequence[Mapping[str, Any]] | None = None
    if not broken and made.compiled is not None:
        manifests = made.compiled.manifests
    errors = [f for f in made.findings or repository.findings if f.severity is Severity.ERROR] if broken else []
    name, namespace = fields.get("name"), fields.get("namespace", platform.namespace)
    return Side(
        f"{namespace}/{name}" if name else "", made.source.file, fields, manifests, made.files or {},
        version(platform.aibrix.release), tuple(errors), load_minutes(made.layered), platform.cluster,
    )  # fmt: skip


def _named(change: AppChange, apps: Collection[str]) -> bool:
    sides = [side for side in (change.before, change.after) if side is not None]
    return change.label in apps or any(is_called(app, side.label, side.file) for app in apps for side in sides)
