"""From what runs today to specs: reads a file, proposes, renders, compares, and says what is left of the difference.

What the spec's fields cannot say becomes an override, one value at a time: what a rule or the API server refuses is
taken out again and listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

from stormc.compile.compilation import Compilation
from stormc.compile.stages import storm_service
from stormc.facts.keys import Annotation, NodeLabel
from stormc.facts.known_keys import TABLES, Use
from stormc.facts.limits import SERVING_ROLES
from stormc.failure import Failure
from stormc.finding import START, Finding, Mark, Path, did_you_mean, has_errors
from stormc.load.checks import REPEATED_KEY
from stormc.load.document import Document, load_documents
from stormc.load.sources import Source, Sources, read_sources
from stormc.migrate import deploy_tool
from stormc.migrate.compare import Departure, Table, departures, is_mount, merged, patch, shown_path, table
from stormc.migrate.compare import Path as Place
from stormc.migrate.difference import Difference, because, beside
from stormc.migrate.judge import judged, kept, map_of
from stormc.migrate.note import ALONE, ASSUMED, FOREIGN, LACKING, REPEATED, SCALED, Note
from stormc.migrate.serve import facts_of, served
from stormc.migrate.shape import misshapen
from stormc.migrate.storm_service import Chosen, Proposal, engine_arguments, every_pod_serves, propose
from stormc.model import schema
from stormc.model.app import ROUTING, Ref
from stormc.model.pod_fields import REFERENCES
from stormc.passes.runner import Compiled
from stormc.payload.objects import shared_objects
from stormc.payload.read import read_payload
from stormc.record import NamedTuple
from stormc.repository.profiles import builtin_names
from stormc.repository.repository import Repository, open_repository
from stormc.targets.storm_service import ROLES
from stormc.text.write import spec_text

Spec = dict[str, Any]


@dataclass(frozen=True)
class Imported:
    """One app: the text of its spec, None where there can be none, what was found, and what differs."""

    name: str
    text: str | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    manifests: tuple[Mapping[str, Any], ...] = ()


def _variable(entry: Mapping[str, Any]) -> Any:
    """What a spec's env has for an entry of a container; None for what it has no form for."""
    if set(entry) <= {"value"}:
        return entry.get("value", "")
    source = entry.get("valueFrom")
    if isinstance(source, dict) and "apiVersion" not in source.get("fieldRef", {"apiVersion": ""}):
        return None  # a spec's fieldRef has it, as the API server writes it
    if set(entry) == {"valueFrom"} and isinstance(source, dict) and len(source) == 1 and set(source) <= set(REFERENCES):
        return source
    return None


class _Read(NamedTuple):
    """A StormService with its Services, and where the file has what stands at a path of it."""

    storm: Mapping[str, Any]
    services: Sequence[Mapping[str, Any]]
    locate: Callable[[Path, bool], Mark]
    notes: list[Note]


class Target(NamedTuple):
    """Where the specs are to stand: the repository around them, and the directory below it."""

    repository: Repository
    directory: str
    shown: File


def target(specs: File, out: File | None) -> Target:
    """The place of new specs. Raises Failure for a directory that is not below the specs."""
    known = read_sources(specs) if specs.is_dir() else Sources(specs.name, (), ())
    if out is None:
        return Target(open_repository(known), "", specs)
    below = out.resolve()
    if not below.is_relative_to(specs.resolve()):
        raise Failure(f"{out} is not below {specs}; --specs names another directory of specs")
    directory = below.relative_to(specs.resolve()).as_posix()
    return Target(open_repository(known), "" if directory == "." else directory, out)


def import_file(file: str, raw: bytes, where: Target, chosen: Chosen, owner: str) -> list[Imported]:
    """The apps of one file; one without a name where there is none in it. Raises Failure for an unknown profile."""
    documents, findings = load_documents(file, raw)
    repeated = [f._replace(rule=REPEATED, hint="the last one counts") for f in findings if f.rule == REPEATED_KEY]
    if len(repeated) < len(findings):
        return [Imported("", None, tuple(f for f in findings if f.rule != REPEATED_KEY), ())]
    found, others = _read(file, documents)
    if not found:
        text, hint = "the file holds no StormService and no config of the k8s-deploy-tool", ""
        named = next((name for document in documents for name in _formats(document.data)), None)
        if named:
            text, hint = (
                f"this is {named}, which stormc does not import",
                "write a spec: stormc init NAME --hardware PROFILE",
            )
        return [Imported("", None, (Finding(FOREIGN, file, START, text, hint), *repeated, *others), ())]
    made = [_import(file, read, where, chosen, owner) for read in found]
    first, *rest = made
    return [replace(first, findings=(*repeated, *others, *first.findings)), *rest]


FORMATS = {
    "isvc": "a config of OME's deploy tool",
    "deploy_config": "a config of the infer-operator-deploy-tool",
    "deploy_server_config": "a config of MindIE-MS",
    "motor_deploy_config": "a config of MindIE-Motor",
}
KINDS = {
    "InferServiceSet": "an InferServiceSet of MindCluster's infer-operator",
    "InferenceService": "an InferenceService", "LeaderWorkerSet": "a LeaderWorkerSet", "RoleBasedGroup": "an RBG",
    "ModelServing": "a ModelServing of Kthena", "Deployment": "a Deployment",
}  # fmt: skip
"""What people have that runs vLLM, by the key or kind by which it is known."""


def _formats(data: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for key, name in FORMATS.items() if key in data)
    yield from (KINDS[m["kind"]] for _, m in _items(data) if isinstance(m, dict) and m.get("kind") in KINDS)


def _read(file: str, documents: Sequence[Document]) -> tuple[list[_Read], list[Finding]]:
    storms: list[_Read] = []
    others: list[Finding] = []
    for document in documents:
        if deploy_tool.is_config(document.data):
            storms.append(_config(document))
            continue
        for path, manifest in _items(document.data):
            kind = manifest.get("kind")
            if kind == "StormService":
                storm = _strings(manifest)
                storms.append(_Read(storm, (), _located(document, path), list(_shape(storm))))
            else:
                metadata = manifest.get("metadata")
                name = metadata.get("name") if isinstance(metadata, dict) else None
                if kind == "PodAutoscaler":
                    text = f"PodAutoscaler/{name} writes roles[].replicas: Git takes it back at every sync"
                    hint = "delete it, or let it scale something else: stormc's replicas stand in the spec"
                    others.append(Finding(SCALED, file, document.locate(path), text, hint))
                elif kind:
                    text = f"{kind}/{name} is not part of an app: it stays where it is"
                    others.append(Finding(ALONE, file, document.locate(path), text))
    return storms, others


def _shape(manifest: Mapping[str, Any]) -> Iterator[Note]:
    note = misshapen(manifest)
    if note:
        yield note
    elif not (manifest.get("metadata") or {}).get("name"):
        yield Note(LACKING, ("metadata",), "the StormService has no name")


def _items(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The objects of a document, those of a List one by one."""
    items = data.get("items")
    if str(data.get("kind", "")).endswith("List") and isinstance(items, list):
        yield from ((("items", index), item) for index, item in enumerate(items) if isinstance(item, dict))
    else:
        yield (), data


def _located(document: Document, prefix: Path) -> Callable[[Path, bool], Mark]:
    def locate(path: Path, at_key: bool) -> Mark:
        whole = (*prefix, *path)
        return (document.keys.get(whole) if at_key else None) or document.locate(whole)

    return locate


def _config(document: Document) -> _Read:
    made, notes = deploy_tool.objects(document.data)
    own = _located(document, ())
    if not made:
        return _Read({"metadata": {"name": document.data.get("app_name")}}, (), own, notes)
    said = {id(note) for note in notes}

    def locate(path: Path, at_key: bool) -> Mark:
        return own(deploy_tool.place(path, made[0]), at_key)

    marked = [n._replace(path=("\0config", *n.path)) for n in notes if id(n) in said]

    def either(path: Path, at_key: bool) -> Mark:
        return own(path[1:], at_key) if path[:1] == ("\0config",) else locate(path, at_key)

    return _Read(made[0], made[1:], either, marked)


def _import(file: str, read: _Read, where: Target, chosen: Chosen, owner: str) -> Imported:
    metadata = read.storm.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    notes = list(read.notes)
    proposal = None
    if not any(note.rule[0] == "E" for note in notes):
        storm = read.storm
        proposal = propose(storm, _profiles(where.repository, chosen), chosen)
        notes += proposal.notes
        if proposal.spec and where.repository.platforms.platform(where.directory).labels_nodes:
            notes += _newer(storm)
    if proposal is None or proposal.spec is None:
        return Imported(name, None, _findings(file, read, notes), ())
    work = _Work(file, storm, read.services, proposal, where, owner)
    differences = work.run()
    findings = [*_findings(file, read, [*notes, *work.notes]), *work.findings]
    return Imported(name, work.text(), tuple(findings), tuple(differences), tuple(work.manifests()))


def _newer(storm: Mapping[str, Any]) -> Iterator[Note]:
    """Tells where nodes are chosen as the guides from MindCluster 26.1 on do, and the platform is an older one."""
    for index, role in enumerate(storm["spec"]["template"]["spec"]["roles"]):
        template = role.get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        selector = (template.get("spec") or {}).get("nodeSelector") or {}
        if Annotation.SCHEDULE_POLICY in annotations and NodeLabel.ACCELERATOR_TYPE not in selector:
            text = "nodes are chosen by schedule_policy alone, as from MindCluster 26.1 on"
            yield Note(ASSUMED, (*ROLES, index), text, 'set mindcluster: "26.1" in platform.yaml if the cluster has it')
            return


def _findings(file: str, read: _Read, notes: Sequence[Note]) -> tuple[Finding, ...]:
    return tuple(Finding(n.rule, file, read.locate(n.path, n.at_key), n.message, n.hint, n.path) for n in notes)


def _profiles(repository: Repository, chosen: Chosen) -> dict[str, Any]:
    known = {name: repository.profiles.get(name) for name in (*builtin_names(), *repository.profiles.own)}
    if chosen.hardware and known.get(chosen.hardware) is None:
        hint = did_you_mean(chosen.hardware, known) or "see: stormc profiles"
        raise Failure(f"no profile {chosen.hardware}; {hint}")
    return {name: profile for name, profile in known.items() if profile is not None}


def _strings(node: Any, inside: str = "") -> Any:
    """The manifest with strings where Kubernetes has only strings; people leave the quotes of numbers out."""
    if isinstance(node, dict):
        maps = inside in ("labels", "annotations", "nodeSelector", "matchLabels")
        return {
            key: _text(value) if (maps or (inside == "env" and key == "value")) and not isinstance(value, (dict, list))
            else _strings(value, key) for key, value in node.items()
        }  # fmt: skip
    return [_strings(item, inside) for item in node] if isinstance(node, list) else node


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class _Work:
    """One app on its way: the spec grows by what the comparison finds, and shrinks by what is refused."""

    def __init__(
        self, file: str, storm: Mapping[str, Any], services: Sequence[Mapping[str, Any]], proposal: Proposal,
        where: Target, owner: str,
    ) -> None:  # fmt: skip
        assert proposal.spec is not None
        self.file, self.storm, self.services, self.where, self.owner = file, storm, services, where, owner
        self.spec: Spec = proposal.spec
        self.router = proposal.router
        self.engines = proposal.engines
        self.theirs = table(self._renamed(), self.engines)
        self.notes: list[Note] = []
        self.patches: list[tuple[Place, dict[str, Any]]] = []
        self.refused: dict[Place, str] = {}
        self.findings: list[Finding] = []
        self._outcomes: dict[bytes, Compilation] = {}

    def run(self) -> list[Difference]:
        """Completes the spec; the differences that remain."""
        self._settle()
        proposed = self.compiled()
        if proposed is None:
            self.findings = list(self._outcome(self._whole()).findings)
            return []
        self._proposed = storm_service(proposed)
        for departure in self._departures():
            if departure.theirs is not None:
                self._take(departure)
        self._drop_refused()
        self.findings = list(self._outcome(self._whole()).findings)
        return list(self._differences()) if self.compiled() is not None else []

    def text(self) -> str:
        return spec_text(self._whole())

    def _renamed(self) -> Mapping[str, Any]:
        """The original with the router under the name that stormc has for it."""
        if self.router in (None, ROUTING):
            return self.storm
        template = self.storm["spec"]["template"]
        roles = [{**r, "name": ROUTING} if r.get("name") == self.router else r for r in template["spec"]["roles"]]
        inner = {**template, "spec": {**template["spec"], "roles": roles}}
        return {**self.storm, "spec": {**self.storm["spec"], "template": inner}}

    def _source(self, spec: Spec) -> Source:
        path = f"{self.where.directory}/{spec['name']}.yaml".lstrip("/")
        return Source(path, str(self.where.shown / f"{spec['name']}.yaml"), spec_text(spec).encode())

    def _outcome(self, spec: Spec) -> Compilation:
        source = self._source(spec)
        if source.raw not in self._outcomes:
            self._outcomes[source.raw] = self.where.repository.compile(source, read_payload())
        return self._outcomes[source.raw]

    def compiled(self) -> Compiled | None:
        """Our manifests, or None where the spec has no valid fields."""
        return self._outcome(self._whole()).compiled

    def manifests(self) -> Iterator[Mapping[str, Any]]:
        """Everything that the app needs in its namespace, what it shares first; nothing without valid fields."""
        made = self._outcome(self._whole())
        if made.app is not None and made.compiled is not None:
            yield from shared_objects(read_payload(), made.app.namespace, made.app.shared)
            yield from made.compiled.manifests

    def _whole(self) -> Spec:
        """The spec with its overrides, one per role and reason."""
        grouped: dict[str, tuple[list[str], dict[str, Any]]] = {}
        for path, part in self.patches:
            role, text = shown_path(path)
            texts, patches = grouped.get(role, ([], {}))
            grouped[role] = ([*texts, text.partition("[")[0].partition(".")[0] or text], merged(patches, part))
        overrides = [
            {"target": "StormService", "patch": part, "owner": self.owner,
             "reason": f"{', '.join(dict.fromkeys(texts))} as in {File(self.file).name}; the spec has no such field"}
            for texts, part in grouped.values()
        ]  # fmt: skip
        spec = {key: value for key, value in self.spec.items() if value not in ({}, None)}
        return {**spec, "overrides": overrides} if overrides else spec

    def _ours(self) -> tuple[Table, Compiled]:
        made = self.compiled()
        assert made is not None
        return table(storm_service(made), {}), made

    def _departures(self) -> list[Departure]:
        return departures(self._ours()[0], self.theirs)

    def _settle(self) -> None:
        """Takes out what the spec says without saying it: the computed gang size, and defaults."""
        sizes = {name: self.spec[name]["podGroupSize"] for name in SERVING_ROLES}
        shared = sum(self.spec[name]["replicas"] for name, size in sizes.items() if size == 1)
        for name, size in sizes.items():
            if self.spec[name].get("minAvailable") == (size if size > 1 else shared):
                del self.spec[name]["minAvailable"]
        inherited = self.where.repository.platforms.layered(self.where.directory, Document(self.file, {})).data
        for section, fields in schema.SECTIONS.items():
            if isinstance(self.spec.get(section), dict) and section not in inherited:
                said = self.spec[section].items()
                self.spec[section] = {k: v for k, v in said if fields[k].get("default", ...) != v}
        if all(every_pod_serves(self.spec[name]) for name in SERVING_ROLES) and "gateway" not in inherited:
            self.spec = {k: v for k, v in self.spec.items() if (k, v) != ("gateway", "roles")}
        said = self.spec.items()
        self.spec = {k: v for k, v in said if k in inherited or schema.APP[k].get("default", ...) != v}

    def _take(self, departure: Departure) -> None:
        """Puts a value of the original into the spec, into an override, or onto the list of what is not taken."""
        path = departure.path
        if reason := kept(departure):
            self.refused[path] = reason
            return
        role, mapped = map_of(path)
        if mapped:
            field, key = mapped
            if refusal := judged(role, field, key):
                self.refused[path] = refusal.reason
                note = f"{role}: {refusal.reason}; not copied"
                self.notes.append(Note(refusal.rule, self._original(path), note, refusal.hint, at_key=True))
                return
            literal = departure.theirs if field != "env" else _variable(departure.theirs)
            known = TABLES[field].get(key)
            plain = literal is not None
            if plain and (known is None or known.use is Use.FREE):
                entries = self.spec.setdefault(role, {}).setdefault(field, {})
                entries[key] = literal
                if self.compiled() is not None:
                    return
                del entries[key]
        image = str(self.spec[role].get("image", self.spec["image"])) if role in SERVING_ROLES else ""
        if path[-1] == "command" and image and "engine" not in self.spec and served(departure.theirs, facts_of(image)):
            self.refused[path] = "stormc's launcher runs this vllm serve; its flags are fields"
            return
        if path[-1] == "command" and (arguments := engine_arguments(departure.ours, departure.theirs)) is not None:
            before = dict(self.spec[role])
            self.spec[role]["engineArgs"] = arguments
            if self.compiled() is not None:
                return
            self.spec[role] = before
        if path[-1] == "args" and (*path[:-1], "command") not in self.theirs:
            whole = {"command": None, "args": departure.theirs}  # the image's own entry point, with these arguments
            self.patches.append((path, patch(Departure(path[:-1], {}, whole), {}, frozenset())))
            return
        if path[-1] == "command" and "engine" not in self.spec:
            whole = {"command": departure.theirs, "args": None}  # those of the launcher
            self.patches.append((path, patch(Departure(path[:-1], {}, whole), {}, frozenset())))
            return
        mounted = self._mounted(path)
        if mounted.keys() == {"name"}:
            self.refused[path] = f"volume {mounted['name']} is not declared"
            return
        self.patches.append((path, patch(departure, mounted, self._volumes(path))))

    def _original(self, path: Place) -> Path:
        """The path of the original's document for a place of its table."""
        node: Any = self._renamed()
        made: list[str | int] = []
        for step in path:
            if isinstance(step, tuple):
                index = next((i for i, item in enumerate(node or ()) if step[0] in item.values()), None)
                if index is None:
                    break
                made.append(index)
                node = node[index]
            else:
                made.append(step)
                node = node.get(str(step)) if isinstance(node, dict) else None
        return tuple(made)

    def _mounted(self, path: Place) -> Mapping[str, Any]:
        """The original's volume behind a mount."""
        if not is_mount(path):
            return {}
        role, container = str(path[4][0]), str(path[-3][0])
        container = self.engines.get(role, container) if container == role else container
        pod = next(r for r in self._renamed()["spec"]["template"]["spec"]["roles"] if r.get("name") == role)["template"]
        containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
        mounts = next(c for c in containers if c.get("name") == container)["volumeMounts"]
        name = next(m for m in mounts if m["mountPath"] == path[-1][0]).get("name")
        volume = next((v for v in pod["spec"].get("volumes") or () if v.get("name") == name), {"name": name})
        return {key: {} if value is None else value for key, value in volume.items()}

    def _volumes(self, path: Place) -> frozenset[str]:
        """The names of our volumes in the role of a path."""
        if not is_mount(path):
            return frozenset()
        role = next(r for r in self._proposed["spec"]["template"]["spec"]["roles"] if r["name"] == path[4][0])
        return frozenset(v["name"] for v in role["template"]["spec"].get("volumes") or ())

    def _drop_refused(self) -> None:
        """Takes out of the overrides and of the roles' maps what a rule or the API server calls an error."""
        for field in ("labels", "annotations", "nodeSelector", "env"):
            for role in ("prefill", "decode", ROUTING):
                for finding in self._outcome({**self.spec, "overrides": []}).findings:
                    if finding.rule[0] == "E" and finding.path[:2] == (role, field) and len(finding.path) == 3:
                        key = str(finding.path[2])
                        if self.spec[role].get(field, {}).pop(key, None) is not None:
                            where = ("template", "metadata", field, key) if field != "nodeSelector" else ()
                            place = (*ROLES, (role,), *(where or ("template", "spec", field, key)))
                            self.refused[place] = f"{finding.rule}: {finding.message}"
        everything, self.patches = self.patches, []
        before = self._errors()
        for path, part in everything:
            self.patches.append((path, part))
            errors = self._errors()
            worse = {errors[place] for place in errors.keys() - before.keys()}
            if worse:
                self.patches.pop()
                self.refused[path] = "; ".join(sorted(worse))

    def _errors(self) -> dict[tuple[str, Path], str]:
        """The errors of the spec as it is by now: rule and place, and as people read them."""
        findings = self._outcome(self._whole()).findings
        return {(f.rule, f.path): f"{f.rule}: {f.message}" for f in findings if f.rule[0] == "E"}

    def _differences(self) -> Iterator[Difference]:
        ours, made = self._ours()
        yield from beside(made.manifests, self.services)
        storm = Ref("StormService", self.spec["name"])
        told: set[tuple[str, str]] = set()
        origins = self._outcome(self._whole()).origins()
        for departure in departures(ours, self.theirs):
            role, path = shown_path(departure.path)
            if role == ROUTING and departure.theirs is None:
                path, reason = "the proxy", "stormc's own proxy is the router"
            elif departure.theirs is None:
                reason = because(origins, storm, departure.path)
            else:
                reason = self.refused.get(departure.path, "no override can say it")
            kind = "added" if departure.theirs is None else "left out" if departure.ours is None else "changed"
            if (role, path) not in told:
                told.add((role, path))
                yield Difference(kind, role, path, reason)


def broken(imported: Imported) -> bool:
    """Whether there is no spec that can be rendered."""
    return imported.text is None or has_errors(imported.findings)
