"""Fitting a spec to what runs: it grows by what the comparison finds, and shrinks by what is refused.

What the spec's fields cannot say becomes an override, one value at a time: what a rule or the API server refuses is
taken out again and listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from stormc.compile.compilation import Compilation
from stormc.facts.known_keys import TABLES, Use
from stormc.facts.limits import SERVING_ROLES
from stormc.finding import Finding, Path
from stormc.migrate.command_line import engine_arguments
from stormc.migrate.compare import (
    Table,
    TablePath,
    ValueDifference,
    is_mount,
    merged,
    patch,
    shown_path,
    table,
    value_differences,
)
from stormc.migrate.difference import Difference, differences_beside, reason_of
from stormc.migrate.note import Note
from stormc.migrate.proposal import Proposal, every_pod_serves
from stormc.migrate.reading import Original
from stormc.migrate.refusals import entry_of, reason_to_keep, refusal_of
from stormc.model import schema
from stormc.model.app import ROUTING, Ref
from stormc.model.pod_fields import REFERENCES
from stormc.passes.runner import Compiled
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.targets.storm_service import ROLES, storm_service
from stormc.text.write import spec_text

Spec = dict[str, Any]


class Place(NamedTuple):
    """Where a spec is to stand: `compile` takes an app's name and the text; `inherited` are the platform's defaults."""

    compile: Callable[[str, str], Compilation]
    inherited: Mapping[str, Any]


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


class Fitting:
    """One app being fitted: `run` once, then `text`, `compilation`, `notes` and `findings`."""

    def __init__(
        self, file: str, original: Original, proposal: Proposal, place: Place, owner: str
    ) -> None:  # fmt: skip
        assert proposal.spec is not None
        self.file, self.storm, self.services = file, original.storm, original.services
        self.place, self.owner = place, owner
        self.spec: Spec = proposal.spec
        self.router = proposal.router
        self.engines, self.as_fields = proposal.engines, proposal.as_fields
        self.exported = {name: frozenset(self.spec[name].get("env") or ()) for name in SERVING_ROLES}
        self.theirs = table(self._renamed(), self.engines)
        self.notes: list[Note] = []
        self.patches: list[tuple[TablePath, dict[str, Any]]] = []
        self.refused: dict[TablePath, str] = {}
        self.findings: list[Finding] = []
        self._compilations: dict[str, Compilation] = {}

    def run(self) -> list[Difference]:
        """Completes the spec; the differences that remain."""
        self._settle()
        proposed = self.compiled()
        if proposed is None:
            self.findings = list(self._compile(self._whole()).findings)
            return []
        self._proposed = storm_service(proposed.manifests)
        for difference in self._departures():
            if difference.theirs is not None:
                self._take(difference)
        self._drop_refused()
        self.findings = list(self._compile(self._whole()).findings)
        return list(self._differences()) if self.compiled() is not None else []

    def text(self) -> str:
        """The spec in canonical form."""
        return spec_text(self._whole())

    def _renamed(self) -> Mapping[str, Any]:
        """The original with the router under the name that stormc has for it."""
        if self.router in (None, ROUTING):
            return self.storm
        template = self.storm["spec"]["template"]
        roles = [{**r, "name": ROUTING} if r.get("name") == self.router else r for r in template["spec"]["roles"]]
        inner = {**template, "spec": {**template["spec"], "roles": roles}}
        return {**self.storm, "spec": {**self.storm["spec"], "template": inner}}

    def _compile(self, spec: Spec) -> Compilation:
        data = repr(spec)  # plain data; its canonical text takes as long as the compilation
        if data not in self._compilations:
            self._compilations[data] = self.place.compile(spec["name"], spec_text(spec))
        return self._compilations[data]

    def compiled(self) -> Compiled | None:
        """Our manifests, or None where the spec has no valid fields."""
        return self._compile(self._whole()).compiled

    def compilation(self) -> Compilation:
        """What became of the spec as it is now."""
        return self._compile(self._whole())

    def _whole(self) -> Spec:
        """The spec with its overrides, one per role and reason."""
        grouped: dict[str, tuple[list[str], dict[str, Any]]] = {}
        for path, part in self.patches:
            role, text = shown_path(path)
            texts, patches = grouped.get(role, ([], {}))
            grouped[role] = ([*texts, text.partition("[")[0].partition(".")[0] or text], merged(patches, part))
        origin = f"as in {PurePath(self.file).name}; the spec has no such field"
        overrides = [
            {"target": "StormService", "patch": part, "owner": self.owner,
             "reason": f"{', '.join(dict.fromkeys(texts))} {origin}"}
            for texts, part in grouped.values()
        ]  # fmt: skip
        spec = {key: value for key, value in self.spec.items() if value not in ({}, None)}
        return {**spec, "overrides": overrides} if overrides else spec

    def _ours(self) -> tuple[Table, Compiled]:
        compiled = self.compiled()
        assert compiled is not None
        return table(storm_service(compiled.manifests), {}), compiled

    def _departures(self) -> list[ValueDifference]:
        return value_differences(self._ours()[0], self.theirs)

    def _settle(self) -> None:
        """Takes out fields that change nothing: a gang size that stormc computes, and defaults."""
        sizes = {name: self.spec[name]["podGroupSize"] for name in SERVING_ROLES}
        shared = sum(self.spec[name]["replicas"] for name, size in sizes.items() if size == 1)
        for name, size in sizes.items():
            if self.spec[name].get("minAvailable") == (size if size > 1 else shared):
                del self.spec[name]["minAvailable"]
        inherited = self.place.inherited
        for section, fields in schema.SECTIONS.items():
            if isinstance(self.spec.get(section), dict) and section not in inherited:
                items = self.spec[section].items()
                self.spec[section] = {k: v for k, v in items if fields[k].get("default", ...) != v}
        if all(every_pod_serves(self.spec[name]) for name in SERVING_ROLES) and "gateway" not in inherited:
            self.spec = {k: v for k, v in self.spec.items() if (k, v) != ("gateway", "roles")}
        items = self.spec.items()
        self.spec = {k: v for k, v in items if k in inherited or schema.APP[k].get("default", ...) != v}

    def _take(self, difference: ValueDifference) -> None:
        """Puts a value of the original into the spec, into an override, or onto the list of what is not taken."""
        path = difference.path
        if reason := reason_to_keep(difference):
            self.refused[path] = reason
            return
        role, mapped = entry_of(path)
        if mapped and self._take_entry(difference, role, *mapped):
            return
        if path[-1] == "command" and role in SERVING_ROLES and "engine" not in self.spec and self.as_fields:
            self.refused[path] = "stormc's launcher runs this vllm serve; its flags are fields"
            return
        if path[-1] == "command" and (arguments := engine_arguments(difference.ours, difference.theirs)) is not None:
            before = dict(self.spec[role])
            self.spec[role]["engineArgs"] = arguments
            if self.compiled() is not None:
                return
            self.spec[role] = before
        if path[-1] == "args" and (*path[:-1], "command") not in self.theirs:
            whole = {"command": None, "args": difference.theirs}  # the image's own entry point, with these arguments
            self.patches.append((path, patch(ValueDifference(path[:-1], {}, whole), {}, frozenset())))
            return
        if path[-1] == "command" and "engine" not in self.spec:
            whole = {"command": difference.theirs, "args": None}  # those of the launcher
            self.patches.append((path, patch(ValueDifference(path[:-1], {}, whole), {}, frozenset())))
            return
        mounted = self._mounted(path)
        if mounted.keys() == {"name"}:
            self.refused[path] = f"volume {mounted['name']} is not declared"
            return
        self.patches.append((path, patch(difference, mounted, self._volumes(path))))

    def _take_entry(self, difference: ValueDifference, role: str, field: str, key: str) -> bool:
        """Whether a variable, label or the like is settled: refused, or written as an entry of the role."""
        path = difference.path
        if refusal := refusal_of(role, field, key):
            self.refused[path] = refusal.reason
            note = phrase("{role}: {reason}; not copied", role=role, reason=refusal.reason)
            self.notes.append(Note(refusal.rule, self._original(path), note, refusal.hint, at_key=True))
            return True
        if field == "env" and key in self.exported.get(role, ()):
            self.refused[path] = "the script sets it anew"
            return True
        literal = difference.theirs if field != "env" else _variable(difference.theirs)
        known = TABLES[field].get(key)
        if literal is None or not (known is None or known.use is Use.FREE):
            return False
        entries = self.spec.setdefault(role, {}).setdefault(field, {})
        entries[key] = literal
        if self.compiled() is not None:
            return True
        del entries[key]
        return False

    def _original(self, path: TablePath) -> Path:
        """The path of the original's document for a place of its table."""
        node: Any = self._renamed()
        steps: list[str | int] = []
        for step in path:
            if isinstance(step, tuple):
                index = next((i for i, item in enumerate(node or ()) if step[0] in item.values()), None)
                if index is None:
                    break
                steps.append(index)
                node = node[index]
            else:
                steps.append(step)
                node = node.get(str(step)) if isinstance(node, dict) else None
        return tuple(steps)

    def _mounted(self, path: TablePath) -> Mapping[str, Any]:
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

    def _volumes(self, path: TablePath) -> frozenset[str]:
        """The names of our volumes in the role of a path."""
        if not is_mount(path):
            return frozenset()
        role = next(r for r in self._proposed["spec"]["template"]["spec"]["roles"] if r["name"] == path[4][0])
        return frozenset(v["name"] for v in role["template"]["spec"].get("volumes") or ())

    def _drop_refused(self) -> None:
        """Takes out of the overrides and of the roles' maps what a rule or the API server calls an error."""
        for field in ("labels", "annotations", "nodeSelector", "env"):
            for role in (*SERVING_ROLES, ROUTING):
                for finding in self._compile({**self.spec, "overrides": []}).findings:
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
        """The errors of the spec as it is now, by rule and path; the values are for people."""
        findings = self._compile(self._whole()).findings
        return {(f.rule, f.path): f"{f.rule}: {f.message}" for f in findings if f.rule[0] == "E"}

    def _differences(self) -> Iterator[Difference]:
        ours, compiled = self._ours()
        yield from differences_beside(compiled.manifests, self.services)
        storm = Ref("StormService", self.spec["name"])
        listed: set[tuple[str, str]] = set()
        origins = self._compile(self._whole()).origins()
        for difference in value_differences(ours, self.theirs):
            role, path = shown_path(difference.path)
            if role == ROUTING and difference.theirs is None:
                path, reason = "the proxy", "stormc's own proxy is the router"
            elif difference.theirs is None:
                reason = reason_of(origins, storm, difference.path)
            else:
                reason = self.refused.get(difference.path, "no override can say it")
            kind = "added" if difference.theirs is None else "left out" if difference.ours is None else "changed"
            if (role, path) not in listed:
                listed.add((role, path))
                yield Difference(kind, role, path, reason)
