"""Two sides of a repository, app by app: what changed in the specs and in the manifests, and the effect of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from enum import Enum
from typing import Any

from stormc.finding import Finding, Path
from stormc.load.releases import AIBrix
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.review.effect import SEVERITY, AppEffect, What, effect
from stormc.review.words import told_apart


class Kind(Enum):
    """What became of an app."""

    CREATED = phrase("created")
    REMOVED = phrase("removed")
    RENAMED = phrase("renamed")
    MOVED = phrase("moved")
    CHANGED = phrase("changed")
    BROKEN = phrase("has errors")


@dataclass(frozen=True)
class Side:
    """An app on one side: its identity and fields, its manifests and files, or the errors that left it without any.

    `load_minutes` are the minutes that a pod was measured to take until it answers.
    """

    label: str
    file: str
    fields: Mapping[str, Any]
    manifests: Sequence[Mapping[str, Any]] | None
    files: Mapping[str, bytes]
    aibrix: AIBrix
    errors: tuple[Finding, ...] = ()
    load_minutes: int | None = None
    cluster: str = ""


class FieldChange(NamedTuple):
    """A field of the spec, with platform defaults laid under it; None is a field that is not there."""

    path: Path
    before: Any
    after: Any


class FileChange(NamedTuple):
    """A rendered file and the lines of its unified diff, empty for one that only moves."""

    path: str
    kind: Kind
    lines: tuple[str, ...]
    moved_from: str = ""


@dataclass(frozen=True)
class AppChange:
    """One app that the change touches. `label` is its name after the change, or before it for a removed app.

    `engine` are lines on what Argo CD or Flux does with objects that leave the rendered tree or move in it.
    """

    label: str
    kind: Kind
    before: Side | None
    after: Side | None
    fields: tuple[FieldChange, ...]
    files: tuple[FileChange, ...]
    effect: AppEffect
    engine: tuple[str, ...] = ()

    @property
    def cluster(self) -> str:
        """The cluster it runs on after the change, or did before; "" where nothing names it."""
        side = self.after or self.before
        return side.cluster if side is not None else ""

    @property
    def severity(self) -> int:
        """The rank of the gravest effect: reports start with the largest."""
        return -1 if self.kind is Kind.BROKEN else SEVERITY[self.effect.worst]


def compare(before: Mapping[str, Side], after: Mapping[str, Side]) -> list[AppChange]:
    """The apps that differ, those with the gravest effects first. Sides are given by the path of their spec."""
    changes = [_change(one, other) for one, other in _pairs(before, after)]
    changed = [change for change in changes if change is not None]
    labels = told_apart([(change.label, change.cluster) for change in changed])
    changed = [replace(change, label=label) for change, label in zip(changed, labels, strict=True)]
    return sorted(changed, key=lambda change: (change.kind is not Kind.BROKEN, -change.severity, change.label))


def _pairs(before: Mapping[str, Side], after: Mapping[str, Side]) -> Iterator[tuple[Side | None, Side | None]]:
    """The two sides of each app: by spec file, else by name, else by similar specs; None where one side lacks it."""
    yield from ((before[path], after[path]) for path in after if path in before)
    only_before = [side for path, side in before.items() if path not in after]
    only_after = [side for path, side in after.items() if path not in before]
    for alike in (_same_name, _mostly_equal):
        for side in tuple(only_after):
            partner = max(only_before, key=lambda one: alike(one, side), default=None)
            if partner is not None and alike(partner, side) >= ALIKE:
                only_before.remove(partner)
                only_after.remove(side)
                yield partner, side
    yield from ((None, side) for side in only_after)
    yield from ((side, None) for side in only_before)


ALIKE = 0.5
"""The share of equal fields from which a removed and an added spec are one renamed app, as Git finds renames."""


def _same_name(before: Side, after: Side) -> float:
    return float(bool(after.label) and (before.cluster, before.label) == (after.cluster, after.label))


def _mostly_equal(before: Side, after: Side) -> float:
    """The share of fields that both specs have with the same value; name and namespace do not count."""
    sides = [dict(_fields(side.fields, ())) for side in (before, after)]
    one, other = ({path: value for path, value in fields.items() if path not in _IDENTITY} for fields in sides)
    together = {*one, *other}
    equal = sum(path in one and path in other and one[path] == other[path] for path in together)
    return equal / len(together) if together else 0.0


_IDENTITY = frozenset({("name",), ("namespace",), ("apiVersion",), ("kind",)})


def _fields(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _fields(value, (*path, key))
    else:
        yield path, node


def _change(before: Side | None, after: Side | None) -> AppChange | None:
    side = after or before
    assert side is not None
    if before is not None and after is not None and _same(before, after):
        return None
    both = before.fields if before else {}, after.fields if after else {}
    readable = all(one is None or one.fields for one in (before, after))
    fields = tuple(field_changes(*both, ())) if readable else ()
    if any(one is not None and one.manifests is None for one in (before, after)):
        label = side.label or (before.label if before else "") or side.file
        return AppChange(label, Kind.BROKEN, before, after, fields, (), AppEffect(()))
    files = tuple(file_changes(before.files if before else {}, after.files if after else {}))
    if before is not None and after is not None and (before.cluster, before.label) != (after.cluster, after.label):
        deleted = effect(before.manifests, None)
        created = effect(None, after.manifests, load_minutes=after.load_minutes)
        app_effect = AppEffect((*deleted.roles, *created.roles))
        return AppChange(after.label, Kind.RENAMED, before, after, fields, files, app_effect)
    releases = (before or side).aibrix, side.aibrix
    manifests = [one.manifests if one is not None else None for one in (before, after)]
    app_effect = effect(manifests[0], manifests[1], releases, side.load_minutes)
    kind = Kind.CREATED if before is None else Kind.REMOVED if after is None else Kind.CHANGED
    if kind is Kind.CHANGED and before is not None and after is not None and before.file != after.file:
        kind = Kind.MOVED
    return AppChange(side.label, kind, before, after, fields, files, app_effect)


def _same(before: Side, after: Side) -> bool:
    return (
        (before.label, before.cluster, before.file, before.aibrix, _bodies(before.files))
        == (after.label, after.cluster, after.file, after.aibrix, _bodies(after.files))
        and (before.manifests is None) == (after.manifests is None)
        and (before.manifests is not None or before.fields == after.fields)
    )


def _bodies(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The texts of rendered files without their first lines, which are comments of stormc."""
    return {path: text.partition(b"\n")[2] for path, text in files.items()}


def field_changes(before: Any, after: Any, path: Path) -> Iterator[FieldChange]:
    """The leaves in which two trees of fields differ; lists are one value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from field_changes(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, Mapping) and before and after is None:
        for key, value in before.items():
            yield from field_changes(value, None, (*path, key))
    elif isinstance(after, Mapping) and after and before is None:
        for key, value in after.items():
            yield from field_changes(None, value, (*path, key))
    elif before != after:
        yield FieldChange(path, before, after)


def file_changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[FileChange]:
    """The rendered files that differ; a file that only moved is one change."""
    removed = {path: text for path, text in before.items() if path not in after}
    for path, text in after.items():
        if path in before:
            if before[path].partition(b"\n")[2] != text.partition(b"\n")[2]:
                yield FileChange(path, Kind.CHANGED, _lines(before[path], text, path, path))
            continue
        name = path.rpartition("/")[2]
        moved = next((old for old, content in removed.items() if old.rpartition("/")[2] == name), None)
        if moved is None:
            yield FileChange(path, Kind.CREATED, _lines(b"", text, "", path))
        else:
            yield FileChange(path, Kind.MOVED, _lines(removed.pop(moved), text, moved, path), moved)
    for path, text in removed.items():
        yield FileChange(path, Kind.REMOVED, _lines(text, b"", path, ""))


def _lines(before: bytes, after: bytes, old: str, new: str) -> tuple[str, ...]:
    """A unified diff; the first line of a rendered file, which names its spec, is left out."""
    one, other = (text.decode("utf-8", "replace").splitlines()[1:] for text in (before, after))
    return tuple(unified_diff(one, other, old or "/dev/null", new or "/dev/null", lineterm=""))


class Totals(NamedTuple):
    """The sums of a headline. `npus` counts those of running pods that are disturbed, the others count apps.

    `stuck` are apps with roles that cannot change in place.
    """

    apps: int
    restarting: int
    deleted: int
    orphaned: int
    stuck: int
    unknown: int
    npus: int


def totals(changes: Collection[AppChange]) -> Totals:
    """How many apps change, by what happens to their running NPU pods, and the NPUs of these pods."""
    hit = [change.effect for change in changes if change.effect.restarts_npus]
    deleted = sum(effect.worst is What.DELETED for effect in hit)
    orphaned = sum(effect.worst is What.ORPHANED for effect in hit)
    stuck = sum(effect.worst is What.CANNOT_CHANGE for effect in hit)
    return Totals(
        len(changes), len(hit) - deleted - orphaned - stuck, deleted, orphaned, stuck,
        sum(change.kind is Kind.BROKEN for change in changes), sum(effect.disturbed_npus for effect in hit),
    )  # fmt: skip
