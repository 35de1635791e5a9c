"""Two sides of a repository, app by app: what changed in the specs and in the manifests, and the effect of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import Enum
from typing import Any

from stormc.finding import Finding, Path
from stormc.record import NamedTuple
from stormc.review.effect import SEVERITY, AppEffect, effect


class Kind(Enum):
    """What became of an app."""

    CREATED = "created"
    REMOVED = "removed"
    RENAMED = "renamed"
    MOVED = "moved"
    CHANGED = "changed"
    BROKEN = "has errors"


@dataclass(frozen=True)
class Side:
    """An app on one side: its identity and fields, its manifests and files, or the errors that left it without any."""

    label: str
    file: str
    fields: Mapping[str, Any]
    manifests: Sequence[Mapping[str, Any]] | None
    files: Mapping[str, bytes]
    aibrix: tuple[int, ...]
    errors: tuple[Finding, ...] = ()


class FieldChange(NamedTuple):
    """A field of the spec, with platform defaults laid under it; None is a field that is not there."""

    path: Path
    before: Any
    after: Any


class FileChange(NamedTuple):
    """A rendered file and the lines of its unified diff, empty for one that only moves."""

    path: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class AppChange:
    """One app that the change touches. `label` is its name after the change, or before it where it is gone."""

    label: str
    kind: Kind
    before: Side | None
    after: Side | None
    fields: tuple[FieldChange, ...]
    files: tuple[FileChange, ...]
    effect: AppEffect

    @property
    def severity(self) -> int:
        """The rank of the gravest effect: apps with the largest are told first."""
        return -1 if self.kind is Kind.BROKEN else SEVERITY[self.effect.worst]


def compare(before: Mapping[str, Side], after: Mapping[str, Side], load_minutes: int | None = None) -> list[AppChange]:
    """The apps that differ, those with the gravest effects first. Sides are given by the path of their spec."""
    changes = [_change(one, other, load_minutes) for one, other in _pairs(before, after)]
    changed = [change for change in changes if change is not None]
    return sorted(changed, key=lambda change: (change.kind is not Kind.BROKEN, -change.severity, change.label))


def _pairs(
    before: Mapping[str, Side], after: Mapping[str, Side]
) -> Iterator[tuple[Side | None, Side | None]]:  # fmt: skip
    """The two sides of each app: of the same spec, or of the same name where the spec moved."""
    left = {path: side for path, side in before.items() if path not in after}
    by_label = {side.label: path for path, side in left.items() if side.label}
    for path, side in after.items():
        if path in before:
            yield before[path], side
        else:
            moved = left.pop(by_label.get(side.label, ""), None)
            yield moved, side
    yield from ((side, None) for side in left.values())


def _change(before: Side | None, after: Side | None, load_minutes: int | None) -> AppChange | None:
    side = after or before
    assert side is not None
    if before is not None and after is not None and _same(before, after):
        return None
    fields = tuple(field_changes(before.fields if before else {}, after.fields if after else {}, ()))
    files = tuple(file_changes(before.files if before else {}, after.files if after else {}))
    if (after or before) and any(s is not None and s.manifests is None for s in (before, after)):
        return AppChange(side.label or side.file, Kind.BROKEN, before, after, fields, files, AppEffect(()))
    if before is not None and after is not None and before.label != after.label:
        gone, new = effect(before.manifests, None), effect(None, after.manifests, load_minutes=load_minutes)
        both = AppEffect((*gone.roles, *new.roles))
        return AppChange(after.label, Kind.RENAMED, before, after, fields, files, both)
    releases = (before or side).aibrix, side.aibrix
    seen = effect(before.manifests if before else None, after.manifests if after else None, releases, load_minutes)
    kind = Kind.CREATED if before is None else Kind.REMOVED if after is None else Kind.CHANGED
    if kind is Kind.CHANGED and before is not None and after is not None and before.file != after.file:
        kind = Kind.MOVED
    return AppChange(side.label, kind, before, after, fields, files, seen)


def _same(before: Side, after: Side) -> bool:
    return (
        (before.label, before.file, before.aibrix, before.files) == (after.label, after.file, after.aibrix, after.files)
        and (before.manifests is None) == (after.manifests is None)
        and (before.manifests is not None or before.fields == after.fields)
    )


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
    """The rendered files that differ; a file that only moved, its name and content equal, is told once."""
    gone = {path: text for path, text in before.items() if path not in after}
    for path, text in after.items():
        if path in before:
            if before[path] != text:
                yield FileChange(path, "changed", _lines(before[path], text, path, path))
            continue
        name = path.rpartition("/")[2]
        moved = next((old for old, content in gone.items() if old.rpartition("/")[2] == name), None)
        if moved is None:
            yield FileChange(path, "created", _lines(b"", text, "", path))
        else:
            yield FileChange(path, f"moved from {moved}", _lines(gone.pop(moved), text, moved, path))
    for path, text in gone.items():
        yield FileChange(path, "removed", _lines(text, b"", path, ""))


def _lines(before: bytes, after: bytes, old: str, new: str) -> tuple[str, ...]:
    """A unified diff; the first line of a rendered file, which names its spec, is left out."""
    one, other = (text.decode("utf-8", "replace").splitlines()[1:] for text in (before, after))
    return tuple(unified_diff(one, other, old or "/dev/null", new or "/dev/null", lineterm=""))


class Totals(NamedTuple):
    """The sums that a headline has."""

    apps: int
    restarting: int
    npus: int


def totals(changes: Collection[AppChange]) -> Totals:
    """How many apps change, how many of them restart NPU pods, and the NPUs that this touches."""
    restarting = [change.effect.disturbed_npus for change in changes if change.effect.restarts_npus]
    return Totals(len(changes), len(restarting), sum(restarting))
