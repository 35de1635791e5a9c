"""Rendering a specs directory, and validating one: from paths to a result that commands print."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stormc.actions.committed import committed_memory
from stormc.compile.compilation import Compilation, Stage
from stormc.digest import digest
from stormc.failure import Failure
from stormc.finding import Finding, Severity, has_errors, in_order
from stormc.load.sources import Source, Sources, read_sources
from stormc.model.summary import Summary
from stormc.repository.world import World, check_namesakes, compile_all, memory_of
from stormc.tree.files import joined
from stormc.tree.memory import Memory, memory_directory, recall, remember
from stormc.tree.staging import clock, refuse_link, staged_beside
from stormc.tree.write import Plan, carry_out, make_plan, on_disk, stamp

if TYPE_CHECKING:
    from stormc.gitops.wiring import Wiring

STORM_SERVICE_FILE = "stormservice-"

Progress = Callable[[int, int], None]


class Rendered(NamedTuple):
    """The result of a render: findings, and what changed or would change; no plan where errors forbid one.

    `departures` are lines for people about services that leave the rendered tree.
    """

    apps: int
    findings: list[Finding]
    plan: Plan | None
    departures: tuple[str, ...] = ()


class Validated(NamedTuple):
    """The result of a validation."""

    apps: int
    findings: list[Finding]


def render(specs: Path, out: Path, selected: Sequence[Path], check: bool, jobs: int, progress: Progress) -> Rendered:
    """Compiles specs and brings the output directory up to date; with `check` nothing is written.

    With errors in any spec nothing is written at all. `selected` limits the work to some specs. Raises
    Failure without a specs directory, for a selected path that is no spec, and where `specs` and `out` overlap.
    """
    one, other = os.path.realpath(specs), os.path.realpath(out)
    if os.path.commonpath((one, other)) in (one, other):
        raise Failure(f"{out} and {specs} overlap: what is rendered would be read as specs")
    refuse_link(out)
    with _without_collector():
        if check:
            return _render(specs, out, selected, jobs, progress, None)
        with staged_beside(out) as staging:
            return _render(specs, out, selected, jobs, progress, staging)


def _render(
    specs: Path, out: Path, selected: Sequence[Path], jobs: int, progress: Progress, staging: Path | None
) -> Rendered:
    sources = read_sources(specs)
    world = World(sources)
    chosen = select(sources, world, specs, selected)
    place = memory_directory(out, specs)
    memories = recall(place)
    start = clock(staging) if staging is not None else 0
    fresh, kept, same = _recalled(world, chosen, memories, out, start)
    outcomes = compile_all(world, fresh, Stage.FILES, jobs, progress)
    summaries = [o.summary for o in outcomes if o.summary] + [memory.summary for memory in kept.values()]
    findings = [*world.shared_findings, *committed_memory(specs.parent, out.parent)]
    findings += [f for memory in kept.values() for f in memory.findings] + [f for o in outcomes for f in o.findings]
    others = list(world.namesakes(summaries, chosen)) if selected else []
    findings += check_namesakes([*summaries, *others])
    findings += world.check_repository([*summaries, *others])
    wired = {} if selected else _wired(world, out, summaries, findings)
    findings = _suppressed(findings, sources, chosen, bool(selected))
    if has_errors(findings):
        return Rendered(len(chosen), in_order(findings), None)
    wanted = joined([*(o.files for o in outcomes if o.files is not None), wired])
    scope = [summary.directory for summary in summaries] if selected else None
    plan = make_plan(out, wanted, same, scope)
    findings += plan.findings
    if has_errors(findings):
        return Rendered(len(chosen), in_order(findings), None)
    left = _departures(world, out, plan)
    if staging is not None:
        moved = carry_out(out, plan, staging)

        def stamped(paths: Collection[str]) -> str:
            found = [path for path in paths if path not in plan.writes]
            return stamp(out, paths, moved) if not found or stamp(out, found, start) else ""

        known = {**memories, **kept} if selected else kept
        known |= dict(_remembered(world, outcomes, stamped))
        if known != memories:
            remember(place, known)
    return Rendered(len(chosen), in_order(findings), plan, tuple(left))


def _suppressed(findings: list[Finding], sources: Sources, chosen: Sequence[Source], partly: bool) -> list[Finding]:
    """The findings as the comments of the specs leave them.

    A comment may be unused because an error kept the rules from running: that is no finding yet. Those of apps that
    nobody asked about count only where one of the findings stands.
    """
    from stormc.text.suppress import commented, suppressed

    about = {source.file for source in chosen} | {finding.file for finding in findings}
    marked = commented(s for s in sources.files if not partly or s.file in about or s.is_platform or s.is_profile)
    if not marked:
        return findings
    from stormc.rules import all_rules

    wrong = {finding.file for finding in findings if finding.severity == Severity.ERROR}
    shared = [] if partly or wrong else [s.file for s in sources.files if s.is_platform]
    complete = {source.file for source in chosen if source.file not in wrong}.union(shared)
    return suppressed(findings, marked, complete, {rule.id for rule in all_rules()})


def _wired(world: World, out: Path, summaries: Sequence[Summary], findings: list[Finding]) -> dict[str, bytes]:
    """The files of the GitOps wiring. It belongs to the whole tree: a render of selected specs leaves it as it is.

    What is on disk already was checked against the engines' schemas when it was written.
    """
    made = _wirings(world, summaries, findings)
    if not made:
        return {}
    from stormc.gitops.files import wiring_files

    files = wiring_files(made)
    if any(on_disk(out, path) != content for path, content in files.items()):
        from stormc.gitops.schemas import check_output

        findings += check_output(made)
    return files


def _wirings(world: World, summaries: Sequence[Summary], findings: list[Finding]) -> list[Wiring]:
    if not world.wiring_requests:
        return []
    from stormc.gitops.wiring import check_wirings, wirings

    made = wirings(world.wiring_requests, summaries)
    findings += check_wirings(made, summaries)
    return made


def _departures(world: World, out: Path, plan: Plan) -> list[str]:
    """Warnings of services that leave the tree, which an engine may take for an order to delete them."""
    changed = [*plan.removals, *plan.writes]
    if not any(f"/{STORM_SERVICE_FILE}" in path and (out / path).exists() for path in changed):
        return []
    from stormc.gitops.prune import departures, warnings

    before = {path: content for path in changed if (content := on_disk(out, path)) is not None}
    return list(warnings(departures(before, plan.writes), world.wiring_requests))


def _recalled(
    world: World, chosen: Sequence[Source], memories: dict[str, Memory], out: Path, now: int
) -> tuple[list[Source], dict[str, Memory], set[str]]:
    """Splits apps into those to compile and those that are remembered and whose files are still as they were."""
    fresh: list[Source] = []
    kept: dict[str, Memory] = {}
    same: set[str] = set()
    for source in chosen:
        memory = memories.get(source.path)
        found = _intact(out, memory, now) if memory and memory.digest == world.digest(source) else None
        if found is None:
            fresh.append(source)
        else:
            kept[source.path] = found
            same.update(found.hashes)
    return fresh, kept, same


def _intact(out: Path, memory: Memory, now: int) -> Memory | None:
    """The memory of an app whose files are as it knows them, with the stamp that they have now."""
    if memory.stamp and memory.stamp == stamp(out, memory.hashes):
        return memory
    found = stamp(out, memory.hashes, now)
    for path, known in memory.hashes.items():
        content = on_disk(out, path)
        if content is None or digest(content) != known:
            return None
    return memory._replace(stamp=found)


def _remembered(
    world: World, outcomes: Sequence[Compilation], stamped: Callable[[Collection[str]], str]
) -> Iterator[tuple[str, Memory]]:
    for outcome in outcomes:
        hashes = {path: digest(content) for path, content in (outcome.files or {}).items()}
        memory = memory_of(world, outcome, hashes)
        if memory is not None:
            yield outcome.source.path, memory._replace(stamp=stamped(hashes))


def validate(
    specs: Path,
    selected: Sequence[Path],
    jobs: int,
    progress: Progress,
    crd: Path | None = None,
    changed: Collection[str] | None = None,
) -> Validated:
    """The findings of all specs, or of the selected files and directories. Nothing is written.

    With `changed`, paths below the specs directory, only the apps that a change of these files touches are looked at.
    With a CRD the manifests are checked against it too. Raises Failure as `render` does.
    """
    with _without_collector():
        sources = read_sources(specs)
        world = World(sources, load_crd(crd) if crd else None)
        chosen = select(sources, world, specs, selected) if changed is None else world.affected(changed)
        partly = bool(selected) or changed is not None
        outcomes = compile_all(world, chosen, Stage.MANIFESTS, jobs, progress)
        summaries: list[Summary] = [o.summary for o in outcomes if o.summary]
        others = list(world.namesakes(summaries, chosen)) if partly else []
        findings = [*world.shared_findings, *committed_memory(specs.parent)]
        findings += [f for o in outcomes for f in o.findings]
        findings += check_namesakes([*summaries, *others])
        findings += world.check_repository([*summaries, *others])
        if not partly:
            _wirings(world, summaries, findings)
        findings = _suppressed(findings, sources, chosen, partly)
        return Validated(len(chosen), in_order(findings))


def load_crd(path: Path) -> Mapping[str, Any]:
    """The CustomResourceDefinition in a file; of several, as AIBrix's releases have, that of StormService.

    Raises Failure for anything else.
    """
    from yaml import CSafeLoader, YAMLError, load_all

    try:
        documents = list(load_all(path.read_bytes(), Loader=CSafeLoader))
    except (YAMLError, ValueError) as error:  # ValueError: a date that there is not
        raise Failure(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    found = [d for d in documents if isinstance(d, dict) and d.get("kind") == "CustomResourceDefinition"]
    if not found:
        raise Failure(f"{path} holds no CustomResourceDefinition")
    return next((crd for crd in found if _described(crd) == "StormService"), found[0])


def _described(crd: Mapping[str, Any]) -> Any:
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    return names.get("kind") if isinstance(names, dict) else None


def select(sources: Sources, world: World, specs: Path, selected: Sequence[Path]) -> list[Source]:
    """The apps that paths on the command line name: files, or directories with all apps below them.

    A platform file stands for the apps below its directory, a profile for all apps. No path at all means
    every app. Raises Failure.
    """
    if not selected:
        return list(world.apps)
    root = os.path.realpath(specs)
    readable = {source.path for source in sources.files}
    unreadable = {finding.file for finding in sources.findings}
    chosen: dict[str, Source] = {}
    for path in selected:
        below = os.path.relpath(os.path.realpath(path.parent) + os.sep + path.name if path.name else path, root)
        below = "" if below == "." or os.path.realpath(path) == root else below.replace(os.sep, "/")
        if below.startswith("../"):
            raise Failure(f"{path} is not below {specs}" if path.exists() else f"{path} does not exist")
        if not below or path.is_dir():
            inside = f"{below}/" if below else ""
            found = [source for source in world.apps if source.path.startswith(inside)]
        else:
            found = world.affected({below})
            if not found and below not in readable and f"{specs}/{below}" not in unreadable:
                raise Failure(f"{path} is no spec" if path.exists() else f"{path} does not exist")
        chosen.update((source.path, source) for source in found)
    return [chosen[path] for path in sorted(chosen)]


class _without_collector:
    """Keeps the cyclic collector away: a render makes many small values that live to its end, and no cycles."""

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            gc.enable()
