"""Where every rendered value comes from: all passes that wrote it, in order, each with its value and reason.

Made only on demand: the pipeline runs once more, and each of its edits is recorded. Reasons are constants beside the
passes; here their patterns become fields of this spec, and the fallbacks of fields that are not set are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.kinds import API_VERSIONS, merge_key
from stormc.finding import Path
from stormc.model.app import App, Ref
from stormc.model.flags import spellings
from stormc.model.precedence import FALLBACKS, NO_FALLBACK, is_set
from stormc.model.profile import Platform
from stormc.passes.because import FLAG, KEY, ROLE, Because, Reason, fact, of
from stormc.passes.edit import ARGUMENTS, REMOVED, Edit, argument_keys
from stormc.passes.existence import existence
from stormc.passes.runner import Pass, run_pipeline
from stormc.record import NamedTuple
from stormc.targets.storm_service import Item, role_of

Leaf = tuple[str | int | Item, ...]
"""The path of one value: keys of mappings, merge keys of list items, positions in lists that have none.

A list of scalars is one value, but for `args`, whose items are told apart by their flag.
"""
FLAG_TABLES = (("engineArgs",), ("args",))
"""The fields of a spec that are tables of flags."""
OBJECT = "object"
"""The writer of what every object has before a pass adds to it."""
IDENTITY: Mapping[Leaf, Because] = {
    ("apiVersion",): fact("kubernetes", "stormc/facts/kinds.py"),
    ("kind",): fact("kubernetes", "stormc/facts/kinds.py"),
    ("metadata", "name"): of(("name",)),
    ("metadata", "namespace"): of(("namespace",)),
}
ITEM = fact("stormc", "the name by which items of this list are told apart")


class Written(NamedTuple):
    """One writer of a value. The value is REMOVED where the writer took it away."""

    writer: str
    value: Any
    because: Because


Origin = tuple[Written, ...]
"""Every writer of a value in order; the last one holds."""


class Origins(NamedTuple):
    """The origin of every leaf that a pass has written, including those that a later pass removed."""

    of_objects: Mapping[Ref, Mapping[Leaf, Origin]]

    def of(self, ref: Ref, leaf: Leaf) -> Origin:
        """The origin of a leaf; empty for one that no pass has written."""
        return self.of_objects.get(ref, {}).get(leaf, ())

    def present(self) -> Iterator[tuple[Ref, Leaf, Origin]]:
        """Every leaf of the manifests with its origin."""
        for ref, origins in self.of_objects.items():
            for leaf, origin in origins.items():
                if origin[-1].value is not REMOVED:
                    yield ref, leaf, origin


def trace_pipeline(pipeline: Iterable[Pass], app: App, platform: Platform, spec: Mapping[str, Any]) -> Origins:
    """The origins of an app's manifests. `spec` is what spec and platform defaults say, before defaults are added."""
    recorder = _Recorder(app, spec)
    run_pipeline(pipeline, app, platform, recorder.record)
    return Origins(recorder.objects)


def leaves(kind: str, value: Any, path: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """The leaves of a value that lies at the path of an object of this kind."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(kind, inner, (*path, key))
        return
    steps = item_steps(kind, str(path[-1]), value) if isinstance(value, list) and path else None
    if steps:
        for step, inner in zip(steps, value, strict=True):
            yield from leaves(kind, inner, (*path, step))
    else:
        yield path, value


def item_steps(kind: str, field: str, items: list[Any]) -> Sequence[int | Item] | None:
    """What tells the items of a list apart: merge keys, flags, positions; None where the list is one value."""
    if field == ARGUMENTS and all(isinstance(item, str) for item in items):
        return argument_keys(items)
    if not all(isinstance(item, dict) for item in items):
        return None
    keys = merge_key(kind, field)
    if keys and all(key in item for item in items for key in keys):
        return [tuple(item[key] for key in keys) for item in items]
    return range(len(items))


class _Recorder:
    """Follows the edits of a run and keeps the chain of writers of every leaf."""

    def __init__(self, app: App, spec: Mapping[str, Any]) -> None:
        self.app = app
        self.spec = spec
        self.objects: dict[Ref, dict[Leaf, Origin]] = {}
        self._known: dict[tuple[int, Ref, str | None], tuple[Because, bool, dict[str, Because]]] = {}
        self._existence: dict[Ref, tuple[Path, ...]] = {}
        self._roles = {role.name: role for role in app.serving_roles}

    def record(self, step: Pass, edit: Edit) -> None:
        origins = self.objects.get(edit.object)
        if origins is None:
            origins = self.objects[edit.object] = self._identity(edit.object)
        on_the_way = dict(_names_on_the_way(edit))
        self._name_items(step, edit, origins, on_the_way)
        at = edit.path
        new = {} if edit.value is REMOVED else dict(leaves(edit.object.kind, edit.value, at))
        if step.rewrites:
            for leaf in [leaf for leaf in origins if leaf not in new and _related(leaf, at)]:
                if origins[leaf][-1].value is not REMOVED:
                    origins[leaf] += (self._written(step, edit, leaf, REMOVED),)
        if edit.value is REMOVED:
            self._empty(step, edit, origins)
        for leaf, value in new.items():
            if leaf in on_the_way:
                continue  # an override names an item to reach it
            origins[leaf] = (*origins.get(leaf, ()), self._written(step, edit, leaf, value))

    def _empty(self, step: Pass, edit: Edit, origins: dict[Leaf, Origin]) -> None:
        """Records a mapping or list that a removal has emptied: it is a value now."""
        above = edit.path[:-1]
        if above and not any(leaf[: len(above)] == above for leaf, o in origins.items() if o[-1].value is not REMOVED):
            empty: Any = [] if isinstance(edit.path[-1], tuple) else {}
            origins[above] = (*origins.get(above, ()), self._written(step, edit, above, empty))

    def _identity(self, ref: Ref) -> dict[Leaf, Origin]:
        values: dict[Leaf, str] = {
            ("apiVersion",): API_VERSIONS[ref.kind], ("kind",): ref.kind, ("metadata", "name"): ref.name,
            ("metadata", "namespace"): self.app.namespace,
        }  # fmt: skip
        return {
            leaf: (Written(OBJECT, value, self._resolved(IDENTITY[leaf], ref, None, "")),)
            for leaf, value in values.items()
        }

    def _name_items(
        self, step: Pass, edit: Edit, origins: dict[Leaf, Origin], on_the_way: Mapping[Leaf, str | int]
    ) -> None:
        """The names of items that an edit makes by passing through them, as roles and containers are made."""
        for leaf, value in on_the_way.items():
            if leaf not in origins or origins[leaf][-1].value is REMOVED:
                because = edit.because if _is_override(edit) else ITEM
                reason = self._resolved(because, edit.object, role_of(edit.path), "")
                origins[leaf] = (*origins.get(leaf, ()), Written(step.name, value, reason))

    def _written(self, step: Pass, edit: Edit, leaf: Leaf, value: Any) -> Written:
        last = edit.path[-1]
        key = str(last[0] if isinstance(last, tuple) else last)
        because = _part(edit.because, leaf[len(edit.path) :])
        return Written(step.name, value, self._resolved(because, edit.object, role_of(edit.path), key))

    def _resolved(self, reason: Reason, ref: Ref, role: str | None, key: str) -> Because:
        """The reason with its patterns filled in and fallbacks added, the fields that are set first."""
        because = _part(reason, ())
        where = (id(because), ref, role)
        known = self._known.get(where)
        if known is None or known[0] is not because:
            known = self._known[where] = (because, because.takes_key, {})
        _, takes_key, by_key = known
        key = key if takes_key else ""
        if key not in by_key:
            by_key[key] = self._resolve(because, ref, role, key)
        return by_key[key]

    def _resolve(self, because: Because, ref: Ref, role: str | None, key: str) -> Because:
        fields, name = self._with_fallbacks(because.fields, role, key)
        if ref not in self._existence:
            self._existence[ref] = existence(self.app, ref)
        exists_if, _ = self._with_fallbacks((*because.exists_if, *self._existence[ref]), role, key)
        name = self._of_release(because.fact, role) or name
        if not name and not any(is_set(self.spec, field) for field in fields):
            name = "default"
        source = because.source or self._source(name)
        return Because(fields, name, source, tuple(g for g in exists_if if g not in fields), because.exists_if_fact)

    def _with_fallbacks(self, patterns: Iterable[Path], role: str | None, key: str) -> tuple[tuple[Path, ...], str]:
        fields: dict[Path, None] = {}
        name = ""
        for field in self._filled(patterns, role, key):
            fallback = FALLBACKS.get(field, NO_FALLBACK)
            fields |= dict.fromkeys((field, *fallback.fields))
            if fallback.fact and not is_set(self.spec, field):
                name = name or fallback.fact
        return tuple(sorted(fields, key=lambda field: not is_set(self.spec, field))), name

    def _filled(self, patterns: Iterable[Path], role: str | None, key: str) -> Iterator[Path]:
        """The fields that patterns stand for; a flag may be spelt in several ways, and stand there in parts."""
        values = {ROLE: role or "", KEY: key, FLAG: key.removeprefix("--")}
        for pattern in patterns:
            path = tuple(values.get(step, step) if isinstance(step, str) else step for step in pattern)
            if path[1:2] in FLAG_TABLES and len(path) == 3:
                facts = self._roles.get(str(path[0]), self._roles.get(role or "", self.app.prefill)).facts
                table = self.spec.get(str(path[0]))
                flags = table.get(path[1]) if isinstance(table, dict) else None
                yield from ((*path[:2], k) for k in spellings(flags or {}, str(path[2]), facts))
            else:
                yield path

    def _of_release(self, name: str, role: str | None) -> str:
        """A fact about engines with the release line that it is taken from."""
        if not name.startswith("engine."):
            return name
        release = self._roles.get(role or "", self.app.prefill).facts.release
        return f"engine.{release}{name.removeprefix('engine')}"

    def _source(self, name: str) -> str:
        if name.startswith("hardware."):
            return f"profile {self.app.profile.name}"
        return "docs/spec.md" if name == "default" else ""


def _names_on_the_way(edit: Edit) -> Iterator[tuple[Leaf, str | int]]:
    """The merge keys of the list items that the path of an edit leads through."""
    for index, item in enumerate(edit.path[:-1]):
        if isinstance(item, tuple):
            keys = merge_key(edit.object.kind, str(edit.path[index - 1])) or ()
            yield from (((*edit.path[: index + 1], key), value) for key, value in zip(keys, item, strict=True))


def _is_override(edit: Edit) -> bool:
    because = _part(edit.because, ())
    return bool(because.fields) and because.fields[0][:1] == ("overrides",)


def _part(reason: Reason, path: Leaf) -> Because:
    if isinstance(reason, Because):
        return reason
    return next(reason[path[:length]] for length in range(len(path), -1, -1) if path[:length] in reason)


def _related(leaf: Leaf, path: Leaf) -> bool:
    """Whether a leaf lies at, below or above a path."""
    return leaf[: len(path)] == path[: len(leaf)]
