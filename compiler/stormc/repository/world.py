"""The way of the data: sources become apps, apps become manifests, manifests become files. Pure, given the sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormc.compile.compilation import Compilation, Setting, Spec, Stage
from stormc.finding import Finding, Mark, has_errors
from stormc.load.document import Document, load_document
from stormc.load.sources import SUFFIXES, Source, Sources
from stormc.model.layers import Layer, Layered, merge_layers
from stormc.model.profile import Platform, Profile, build_platform, build_profile
from stormc.model.summary import Summary
from stormc.payload.read import read_payload
from stormc.tree.memory import Memory, input_digest

if TYPE_CHECKING:
    from stormc.gitops.wiring import Request
    from stormc.rules.repository import Inventory

PROFILES = Path(__file__).parent.parent / "facts" / "hardware"


@dataclass(frozen=True)
class World:
    """All sources of a specs directory, with platforms and profiles parsed and apps still to be compiled."""

    sources: Sources
    crd: Mapping[str, Any] | None = None
    today: str = field(default_factory=lambda: date.today().isoformat())

    @cached_property
    def apps(self) -> tuple[Source, ...]:
        """The sources that describe apps."""
        return tuple(s for s in self.sources.files if not s.is_platform and not s.is_profile)

    @cached_property
    def _platform_documents(self) -> tuple[dict[str, Document], list[Finding]]:
        documents: dict[str, Document] = {}
        names: dict[str, str] = {}
        findings: list[Finding] = []
        for source in self.sources.files:
            if source.is_platform and not source.is_profile:
                document, found = load_document(source.file, source.raw)
                if document is not None:
                    from stormc.model.check import check_platform

                    _, found = check_platform(Layered((Layer(document),), document.data))
                if source.directory in names:
                    message = f"{names[source.directory]} is the platform file of this directory already"
                    findings.append(Finding("E302", source.file, Mark(1, 1, 1, 1), message, "keep one of the two"))
                names[source.directory] = source.file
                if document is not None and not found:
                    documents[source.directory] = document
                findings += found
        return documents, findings

    @cached_property
    def _broken_platforms(self) -> frozenset[str]:
        directories = {s.directory for s in self.sources.files if s.is_platform}
        return frozenset(directories - set(self._platform_documents[0]))

    @cached_property
    def own_profiles(self) -> tuple[dict[str, Profile], list[Finding]]:
        """The profiles in specs/profiles and what is wrong with them."""
        profiles: dict[str, Profile] = {}
        findings: list[Finding] = []
        for source in self.sources.files:
            if source.is_profile:
                profile, found = load_profile(source.file, source.raw)
                findings += found
                if profile is None:
                    continue
                taken = profile.name in profiles or (PROFILES / f"{profile.name}.yaml").exists()
                if taken:
                    message = f"a profile named {profile.name} exists already"
                    findings.append(Finding("E302", source.file, Mark(1, 1, 1, 1), message, "choose another name"))
                profiles[profile.name] = profile
        return profiles, findings

    @cached_property
    def shared_findings(self) -> tuple[Finding, ...]:
        """Findings of the sources that are no apps."""
        return (*self.sources.findings, *self._platform_documents[1], *self.own_profiles[1])

    def chain(self, directory: str) -> list[str]:
        """The directories with a platform file from the top down to `directory`."""
        return [d for d in above(directory) if d in self._platform_documents[0] or d in self._broken_platforms]

    def platform(self, directory: str) -> Platform:
        """The platform of a directory: the files above it merged, the nearest winning key by key."""
        documents = self._platform_documents[0]
        layers = [Layer(documents[d]) for d in self.chain(directory) if d in documents]
        return build_platform(merge_layers(layers).data) if layers else Platform()

    @cached_property
    def wiring_requests(self) -> list[Request]:
        """The platform files that ask for GitOps wiring."""
        documents = self._platform_documents[0]
        asking = [s for s in self.sources.files if s.is_platform and "gitops" in _data(documents.get(s.directory))]
        if not asking:
            return []
        from stormc.gitops.wiring import Request

        requests = []
        for source in asking:
            gitops, mark = self.platform(source.directory).gitops, documents[source.directory].locate(("gitops",))
            requests.append(Request(source.directory, gitops, self.sources.spec_file(source), source.file, mark))
        return requests

    @cached_property
    def _shared_input(self) -> bytes:
        return b"\0".join(s.raw for s in self.sources.files if s.is_profile)

    @cached_property
    def _platform_raw(self) -> dict[str, bytes]:
        return {s.directory: s.raw for s in self.sources.files if s.is_platform}

    def digest(self, source: Source) -> str:
        """A digest of everything that this app is compiled from."""
        platforms = [self._platform_raw[d] for d in self.chain(source.directory)]
        name = f"{self.sources.spec_file(source)}\0{source.file}".encode("utf-8", "surrogateescape")
        return input_digest([name, source.raw, self._shared_input, *platforms])

    def layered(self, source: Source, document: Document) -> Layered:
        """The app's document over the defaults of its platform files."""
        documents = self._platform_documents[0]
        layers = [Layer(documents[d], ("defaults",)) for d in self.chain(source.directory) if d in documents]
        return merge_layers([*(layer for layer in layers if layer.data), Layer(document)])

    def compile(self, source: Source, stop: Stage = Stage.FILES) -> Compilation:
        """One spec from bytes to files.

        An app below a platform file with errors is not looked at: what is wrong there would be reported as wrong here.
        """
        from stormc.compile.stages import compile_app

        if any(d in self._broken_platforms for d in self.chain(source.directory)):
            return Compilation(source, ())
        document, findings = load_document(source.file, source.raw)
        if document is None:
            return Compilation(source, tuple(findings))
        layered = self.layered(source, document)
        spec = Spec(source, layered, self.sources.spec_file(source))
        return compile_app(spec, self._setting(source, layered.data.get("hardware")), stop)

    def _setting(self, source: Source, hardware: object) -> Setting:
        profile = self.profile(hardware) if isinstance(hardware, str) else None
        names = (*self.own_profiles[0], *builtin_names(), *self._broken_profiles) if profile is None else ()
        inventory = self._inventory_of(source.directory, profile.name) if profile else None
        return Setting(self.platform(source.directory), profile, names, read_payload(), inventory, self.crd)

    @cached_property
    def _broken_profiles(self) -> frozenset[str]:
        """The files of profiles with errors, by name: the apps that use them are not to blame."""
        files = [source for source in self.sources.files if source.is_profile]
        return frozenset(Path(s.path).stem for s in files if load_profile(s.file, s.raw)[0] is None)

    @cached_property
    def inventories(self) -> tuple[Inventory, ...]:
        """The inventories of all platform files, in NPUs."""
        documents = self._platform_documents[0].items()
        found = {directory: document for directory, document in documents if document.data.get("inventory")}
        if not found:
            return ()
        from stormc.rules.repository import Inventory

        made = []
        for directory, document in found.items():
            nodes = document.data["inventory"]
            profiles = {name: self.profile(name) for name in nodes}
            npus = {name: nodes[name]["nodes"] * profile.npus for name, profile in profiles.items() if profile}
            marks = {name: document.locate(("inventory", name)) for name in nodes}
            made.append(Inventory(directory, document.file, npus, marks))
        return tuple(made)

    def _inventory_of(self, directory: str, hardware: str) -> str | None:
        """The directory of the platform file whose inventory an app takes from: the nearest with its hardware."""
        if not self.inventories:
            return None
        above = set(self.chain(directory))
        near = [i for i in reversed(self.inventories) if i.directory in above]
        counting = [i.directory for i in near if hardware in i.npus] or [i.directory for i in near]
        return max(counting, key=len, default=None)

    def check_repository(self, summaries: Sequence[Summary]) -> Iterator[Finding]:
        """The findings of every rule about several apps, or about the day, on all apps that the run knows of."""
        from stormc.compile.judge import finding_of
        from stormc.rules import rules_for
        from stormc.rules.repository import Repository
        from stormc.rules.rule import Sees

        apps = sorted(summaries, key=lambda s: (s.file, s.mark))
        repository = Repository(apps, self.inventories, self.today)
        sources = {source.file: source for source in self.apps}
        for rule in rules_for(Sees.REPOSITORY):
            for violation in rule.check(repository):
                source = sources[apps[violation.app].file]
                document, _ = load_document(source.file, source.raw)
                if document is not None:
                    yield finding_of(rule.id, violation, self.layered(source, document))

    def profile(self, name: str) -> Profile | None:
        """The profile of a name, the user's own or a built-in one."""
        own = self.own_profiles[0].get(name)
        return own or builtin_profile(name)

    def affected(self, paths: Collection[str]) -> list[Source]:
        """The apps that a change of these files touches: a platform file's are those below it, a profile's are all.

        The files need not exist any more.
        """
        changed = [Source(path, path, b"") for path in paths if path.endswith(SUFFIXES)]
        if any(source.is_profile for source in changed):
            return list(self.apps)
        platforms = {source.directory for source in changed if source.is_platform}
        return [s for s in self.apps if s.path in paths or not platforms.isdisjoint(above(s.directory))]

    def identity(self, source: Source) -> Summary | None:
        """Who an app is, without checking it: enough to see whether another one has the same name."""
        document, _ = load_document(source.file, source.raw)
        if document is None:
            return None
        layered = self.layered(source, document)
        name, namespace = layered.data.get("name"), layered.data.get("namespace")
        if not isinstance(name, str):
            return None
        space = namespace if isinstance(namespace, str) else self.platform(source.directory).namespace
        file, mark = layered.locate(("name",))
        return Summary(space, name, source.directory_of(name), "", 0, 0, file, mark)

    def namesakes(self, summaries: Sequence[Summary], selected: Sequence[Source]) -> Iterator[Summary]:
        """The identities of unselected apps that may collide with one of the summaries.

        Reads no more YAML than it must: an app of the same name has that name in its text.
        """
        names = sorted({summary.name for summary in summaries}, key=len)
        if not names:
            return
        any_name = b"|".join(re.escape(name.encode()) for name in names)
        pattern = re.compile(b"name[\"']?\\s*:\\s*[\"']?(?:" + any_name + b")\\b")
        chosen = {source.path for source in selected}
        for source in self.apps:
            if source.path not in chosen and pattern.search(source.raw):
                identity = self.identity(source)
                if identity is not None:
                    yield identity


def above(directory: str) -> list[str]:
    """The directory and those it lies in, from the top of the specs directory, which is empty, down."""
    steps = directory.split("/") if directory else []
    return ["", *("/".join(steps[: n + 1]) for n in range(len(steps)))]


_builtin: dict[str, Profile | None] = {}


def builtin_names() -> list[str]:
    """The names of the profiles that come with stormc."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def builtin_profile(name: str) -> Profile | None:
    """The profile that comes with stormc under a name; parsed once."""
    if name not in _builtin:
        file = PROFILES / f"{name}.yaml"
        known = "/" not in name and not name.startswith(".") and len(name) < 64 and "\0" not in name and file.is_file()
        _builtin[name] = load_profile(str(file), file.read_bytes())[0] if known else None
    return _builtin[name]


def load_profile(file: str, raw: bytes) -> tuple[Profile | None, list[Finding]]:
    """A profile from the bytes of its file, or what is wrong with it."""
    from stormc.model.check import check_profile

    document, findings = load_document(file, raw)
    if document is None:
        return None, findings
    data, findings = check_profile(Layered((Layer(document),), document.data))
    return (build_profile(data) if data else None), findings


def _data(document: Document | None) -> Mapping[str, Any]:
    return document.data if document else {}


def check_namesakes(summaries: Sequence[Summary]) -> list[Finding]:
    """Two apps that are the same StormService, or that render into the same directory."""
    findings = []
    services: dict[tuple[str, str], Summary] = {}
    directories: dict[str, Summary] = {}
    for summary in sorted(summaries, key=lambda s: (s.file, s.mark)):
        first = services.setdefault((summary.namespace, summary.name), summary)
        if first is not summary:
            message = f"app {summary.namespace}/{summary.name} is also defined in {first.file}:{first.mark.line}"
            hint = "a StormService has one owner: rename one of the two or change its namespace"
            findings.append(Finding("E301", summary.file, summary.mark, message, hint, ("name",)))
            continue
        first = directories.setdefault(summary.directory, summary)
        if first is not summary:
            message = f"renders into {summary.directory}/, as {first.file} does"
            hint = "rename one of the two or move it to another directory"
            findings.append(Finding("E303", summary.file, summary.mark, message, hint, ("name",)))
    return findings


def compile_all(
    world: World, sources: Sequence[Source], stop: Stage, jobs: int, progress: Callable[[int, int], None]
) -> list[Compilation]:
    """The outcomes of some apps, in their order; with several jobs in as many processes."""
    outcomes = []
    for outcome in _compiled(world, sources, stop, jobs):
        outcomes.append(outcome)
        progress(len(outcomes), len(sources))
    return outcomes


PARALLEL_FROM = 64
"""Below this many apps the start of processes costs more than it saves."""


def _compiled(world: World, sources: Sequence[Source], stop: Stage, jobs: int) -> Iterator[Compilation]:
    if jobs <= 1 or len(sources) < PARALLEL_FROM:
        for source in sources:
            yield world.compile(source, stop).result()
        return
    import multiprocessing

    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, _start_worker, (world, sources, stop)) as pool:
        yield from pool.imap(_work, range(len(sources)), chunksize=16)


_task: tuple[World, Sequence[Source], Stage]


def _start_worker(world: World, sources: Sequence[Source], stop: Stage) -> None:
    global _task
    _task = (world, sources, stop)


def _work(index: int) -> Compilation:
    world, sources, stop = _task
    return world.compile(sources[index], stop).result()


def memory_of(world: World, outcome: Compilation, hashes: Mapping[str, str]) -> Memory | None:
    """What to remember of an outcome; nothing of one with errors."""
    if outcome.summary is None or has_errors(outcome.findings):
        return None
    return Memory(world.digest(outcome.source), outcome.summary, outcome.findings, hashes)
