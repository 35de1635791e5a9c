"""Render: specs become files below the output directory."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path
from time import strftime

from stormc import __version__
from stormc.actions.committed_memory import check_committed_memory
from stormc.actions.effects import Effects, effects_of
from stormc.actions.garbage_collection import without_garbage_collection
from stormc.actions.outputs import Output, compile_and_stage
from stormc.compile.compilation import Compilation, Stage
from stormc.failure import Failure
from stormc.finding import START, Finding, has_errors, has_warnings, in_order
from stormc.load.sources import Source, read_sources
from stormc.model.summary import Summary
from stormc.payload.read import Payload, read_payload
from stormc.phrase import NONE, phrase
from stormc.record import NamedTuple
from stormc.repository.findings import collect_findings
from stormc.repository.processes import Progress, work_all
from stormc.repository.repository import Repository, open_repository
from stormc.repository.selection import select
from stormc.repository.wiring import Wired, shared_needs, wire, wiring_requests
from stormc.tree.checks import MADE_BY_ANOTHER, UNSTAGED
from stormc.tree.layout import file_start
from stormc.tree.memory import Memory, memory_directory, recall, remember
from stormc.tree.plan import Plan, make_plan
from stormc.tree.read import on_disk
from stormc.tree.shared import Needs, Place, present, shared_files
from stormc.tree.staging import New, NewFiles, clock, refuse_link, staged_beside
from stormc.tree.unchanged import Split, split, stamp_after
from stormc.tree.version import FILE as VERSION_FILE
from stormc.tree.version import other_versions, spec_directory, versions_after
from stormc.tree.write import carry_out, write_versions

STORM_SERVICE_FILE = f"/{file_start('StormService')}"


class Rendered(NamedTuple):
    """The result of a render: how many apps were looked at, findings, and the plan that was or would be carried out.

    `plan` is None where errors forbid one. `departures` are lines for people about services that leave the rendered
    tree, `effects` is what happens to the pods of services that were rendered before, `made_by` are the other
    versions of stormc whose files are replaced.
    """

    apps: int
    findings: list[Finding]
    plan: Plan | None
    departures: tuple[str, ...] = ()
    effects: Effects = Effects()
    made_by: tuple[str, ...] = ()


def render(
    specs: Path,
    out: Path,
    selected: Sequence[Path] = (),
    *,
    check: bool = False,
    staged: bool = False,
    strict: bool = False,
    jobs: int = 1,
    progress: Progress = lambda done, total: None,
    payload: Payload | None = None,
    today: str | None = None,
) -> Rendered:
    """Compiles specs and brings the output directory up to date. With an error in any spec nothing is written.

    - `selected`: files or directories of specs to render; empty means all.
    - `check`: write nothing; the plan says what would change.
    - `staged`: with `check`, also report what Git's index lacks of the rendered files (E403).
    - `strict`: a warning in any spec keeps everything from being written, as an error does.
    - `jobs`: the number of processes. `progress` is called with the number of compiled apps and of all apps.
    - `payload`: the programs that pods run (default: those that come with stormc).
    - `today`: an ISO date, for findings about dates that have passed (default: the system's).

    Raises Failure without a specs directory, for a selected path that is no spec, where `specs` and `out` overlap,
    and where `out` is a symbolic link.
    """
    _refuse_overlap(specs, out)
    refuse_link(out)
    today = today or strftime("%Y-%m-%d")
    order = _Order(specs, out, selected, staged, strict, jobs, progress, payload or read_payload(), today)
    with without_garbage_collection():
        if check:
            return _render(order, None)
        with staged_beside(out) as staging:
            return _render(order, staging)


class _Order(NamedTuple):
    """The arguments of `render`, with every default settled."""

    specs: Path
    out: Path
    selected: Sequence[Path]
    staged: bool
    strict: bool
    jobs: int
    progress: Progress
    payload: Payload
    today: str


class _Apps(NamedTuple):
    """The apps of a run: those that were compiled, and those that the last render remembers."""

    compiled: Sequence[Output]
    remembered: Mapping[str, Memory]

    @property
    def summaries(self) -> list[Summary]:
        compiled = [output.summary for output in self.compiled if output.summary is not None]
        return compiled + [memory.summary for memory in self.remembered.values()]

    @property
    def new_files(self) -> dict[str, New]:
        return {path: new for output in self.compiled for path, new in output.new.items()}

    @property
    def files_up_to_date(self) -> set[str]:
        """The files that are on disk as they should be."""
        remembered = {path for memory in self.remembered.values() for path in memory.hashes}
        return remembered | {path for output in self.compiled for path in output.hashes if path not in output.new}

    @property
    def findings(self) -> list[Finding]:
        remembered = [finding for memory in self.remembered.values() for finding in memory.findings]
        return remembered + [finding for output in self.compiled for finding in output.findings]


def _refuse_overlap(specs: Path, out: Path) -> None:
    one, other = os.path.realpath(specs), os.path.realpath(out)
    if os.path.commonpath((one, other)) in (one, other):
        raise Failure(
            phrase("{out} and {specs} overlap: what is rendered would be read as specs", out=out, specs=specs)
        )


def _render(order: _Order, staging: Path | None) -> Rendered:
    out, partly = order.out, bool(order.selected)
    repository = open_repository(read_sources(order.specs))
    chosen = select(repository, order.specs, order.selected)
    memory_place = memory_directory(out, order.specs)
    memories = recall(memory_place, [source.path for source in chosen] if partly else None)
    start = clock(staging) if staging is not None else 0
    known = split(chosen, memories.apps, partial(_inputs, repository, order.payload), out, start)
    apps = _compile(order, repository, known, staging)
    wired = wire(repository, apps.summaries) if not partly else Wired()
    needs = shared_needs(repository, apps.summaries)
    files, refused = _wiring_files(out, wired)
    findings = [*check_committed_memory(order.specs.parent, out.parent), *apps.findings, *wired.findings, *refused]
    findings = collect_findings(repository, chosen, apps.summaries, findings, order.today, partly=partly)
    if has_errors(findings) or (order.strict and has_warnings(findings)):
        return Rendered(len(chosen), findings, None)
    shared = shared_files(needs, order.payload, repository.sources.root, _earlier(out, needs) if partly else None)
    new, unchanged = _compared(out, chain(files.items(), shared))
    up_to_date = apps.files_up_to_date | unchanged
    scope = [summary.directory for summary in apps.summaries] if partly else None
    plan = make_plan(out, NewFiles({**apps.new_files, **new}), up_to_date, scope)
    versions = other_versions(out, plan.paths, __version__)
    findings = in_order([
        *findings, *plan.findings, *_unstaged(order, plan, up_to_date, scope),
        *(_made_by_another(out, plan, versions) if staging is None else ()),
    ])  # fmt: skip
    if has_errors(findings):
        return Rendered(len(chosen), findings, None)
    departures, effects = _departures(repository, out, plan), effects_of(repository, out, plan)
    if staging is not None:
        complete = _complete(repository, chosen)
        moved = carry_out(out, plan, staging)
        write_versions(out, staging, versions_after(out, plan.paths, complete, __version__, partly=partly))
        fresh = _memories(apps.compiled, out, start, moved)
        updated = memories.after({**known.unchanged, **fresh}, partly=partly)
        if updated.text != memories.text:
            remember(memory_place, out, updated)
    return Rendered(len(chosen), findings, plan, departures, effects, tuple(sorted({*versions.values()})))


def _compared(out: Path, files: Iterable[tuple[str, bytes]]) -> tuple[dict[str, bytes], set[str]]:
    """The files that are other ones on disk, and the paths of the rest, whose contents are not kept: 0.4 MB each."""
    new: dict[str, bytes] = {}
    unchanged = set()
    for path, content in files:
        if on_disk(out, path) == content:
            unchanged.add(path)
        else:
            new[path] = content
    return new, unchanged


def _made_by_another(out: Path, plan: Plan, versions: Mapping[str, str]) -> Iterator[Finding]:
    """E404 for each other version of stormc whose files would change."""
    for version in sorted(set(versions.values())):
        paths = [path for path in plan.paths if versions.get(spec_directory(path)) == version]
        yield Finding(
            MADE_BY_ANOTHER, f"{out}/{VERSION_FILE}", START,
            phrase("rendered by stormc {version}, this is {this}: {count} files differ", version=version,
                   this=__version__, count=len(paths)),
            phrase("install stormc {version}; or upgrade: stormc render, and stormc diff --compiler-base tells what "
                   "restarts", version=version),
        )  # fmt: skip


def _complete(repository: Repository, chosen: Sequence[Source]) -> set[str]:
    """The directories of specs of which every app was chosen."""
    names = {source.path for source in chosen}
    partly = {source.directory for source in repository.apps if source.path not in names}
    return {source.directory for source in chosen} - partly


def _unstaged(order: _Order, plan: Plan, files: Collection[str], scope: Collection[str] | None) -> Iterator[Finding]:
    """E403 for files that the next commit lacks, one finding per directory; none while files must be written."""
    if not order.staged or not plan.is_empty:
        return
    from stormc.history.index import unstaged

    version_file = {VERSION_FILE} if (order.out / VERSION_FILE).is_file() else set()
    index = unstaged(order.out, {*files, *version_file}, scope)
    for why, paths in (
        (phrase("not in Git"), index.missing),
        (phrase("not staged as it is"), index.different),
        (phrase("staged, and no longer rendered"), index.leftover),
    ):
        by_directory: dict[str, list[str]] = {}
        for path in paths:
            by_directory.setdefault(path.rpartition("/")[0], []).append(path)
        for directory, inside in by_directory.items():
            more = phrase(", and {count} more here", count=len(inside) - 1) if len(inside) > 1 else NONE
            yield Finding(
                UNSTAGED,
                f"{order.out}/{inside[0]}",
                START,
                phrase("{why}{more}", why=why, more=more),
                phrase("git add -A {path}", path=order.out / (directory or inside[0])),
            )


def _earlier(out: Path, needs: Needs) -> dict[Place, list[str]]:
    """The files in the shared directories already: a run over some apps cannot know whether other apps mount them."""
    return {place: present(out, place) for place in needs}


def _compile(order: _Order, repository: Repository, known: Split, staging: Path | None) -> _Apps:
    inputs = partial(_inputs, repository, order.payload)

    def compile_one(source: Source, stop: Stage) -> Compilation:
        return repository.compile(source, order.payload, stop)

    work = partial(compile_and_stage, compile_one, inputs, order.out, staging)
    return _Apps(work_all(work, list(enumerate(known.changed)), order.jobs, order.progress), known.unchanged)


def _wiring_files(out: Path, wired: Wired) -> tuple[Mapping[str, bytes], Sequence[Finding]]:
    """The files of the GitOps wiring, held against the engines' schemas if one of them is new.

    What is on disk already was checked when it was written.
    """
    if not wired.wirings:
        return {}, ()
    from stormc.gitops.files import wiring_files

    files = wiring_files(wired.wirings)
    if all(on_disk(out, path) == content for path, content in files.items()):
        return files, ()
    from stormc.gitops.schemas import check_schemas

    return files, list(check_schemas(wired.wirings))


def _departures(repository: Repository, out: Path, plan: Plan) -> tuple[str, ...]:
    """Warnings about services that leave the tree: Argo CD or Flux may then delete them."""
    changed = [*plan.removals, *plan.writes]
    if not any(STORM_SERVICE_FILE in path and os.path.exists(f"{out}/{path}") for path in changed):
        return ()
    from stormc.gitops.prune import departures, warnings

    before = {path: content for path in changed if (content := on_disk(out, path)) is not None}
    leaving = departures(before, plan.writes, cache(repository.platforms.cluster_of))
    return tuple(warnings(leaving, wiring_requests(repository)))


def _inputs(repository: Repository, payload: Payload, source: Source) -> list[bytes]:
    """Everything that an app is compiled from: its files, and the versions of the programs that pods mount."""
    return ["\0".join(program.version for program in payload).encode(), *repository.inputs(source)]


def _memories(compiled: Sequence[Output], out: Path, start: int, moved: int) -> dict[str, Memory]:
    """What to remember of the compiled apps."""
    memories = {}
    for output in compiled:
        memory = output.memory(stamp_after(out, output.hashes, output.new, start, moved))
        if memory is not None:
            memories[output.path] = memory
    return memories
