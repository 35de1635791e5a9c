"""Folds the edits of all passes into manifests; a field that two passes set is a defect of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stormc.facts.kinds import API_VERSIONS, merge_key
from stormc.model.app import App, Ref
from stormc.model.profile import Platform
from stormc.passes.edit import ARGUMENTS, REMOVED, Edit
from stormc.record import NamedTuple
from stormc.targets.storm_service import Item, Step

Apply = Callable[[App, Platform], Iterator[Edit]]


class Pass(NamedTuple):
    """A named step of the pipeline. One that `rewrites` may replace and remove what it or another pass wrote."""

    name: str
    apply: Apply
    rewrites: bool = False


Watch = Callable[[Pass, Edit], None]


class SecondWriter(Exception):
    """Two passes set the same field: a defect of the pipeline, never of a spec."""

    def __init__(self, edit: Edit, second: str, first: str) -> None:
        super().__init__(f"pass {second} sets {edit.object} {edit.path}, which pass {first} has set")
        self.edit = edit
        self.second = second
        self.first = first


class Compiled(NamedTuple):
    """The manifests of one app, in the order in which passes first wrote them, and what they were made of."""

    manifests: tuple[Mapping[str, Any], ...]
    app: App
    platform: Platform


class _Taken(Exception):
    """A field is there already."""


class _Fields(dict[str, Any]):
    """A mapping made of edits; a plain dict inside it is a value that one edit wrote."""


class _Items(dict[Item, Any]):
    """A list made of edits, by merge key."""

    __slots__ = ("keys_of_item",)

    def __init__(self, keys_of_item: tuple[str, ...]) -> None:
        self.keys_of_item = keys_of_item


def run_pipeline(pipeline: Iterable[Pass], app: App, platform: Platform, watch: Watch | None = None) -> Compiled:
    """The manifests of an app. `watch` is told every edit after it was made.

    Raises SecondWriter when two passes set the same field.
    """
    objects: dict[Ref, _Fields] = {}
    last: tuple[object, ...] = ()
    for step in pipeline:
        rewrites = step.rewrites
        for edit in step.apply(app, platform):
            path = edit.path
            place = edit.object, path[:-1], type(path[-1])
            try:
                if place != last:  # half of all edits stand beside the one before
                    parent, last = _parent(objects, app, edit, rewrites), place
                if path[-1] in parent or edit.value is REMOVED:
                    _rewrite(parent, path[-1], edit.value, rewrites)
                else:
                    parent[path[-1]] = edit.value
            except _Taken:
                raise SecondWriter(edit, step.name, _first_writer(pipeline, app, platform, edit)) from None
            if watch is not None:
                watch(step, edit)
    return Compiled(tuple(_plain(root) for root in objects.values()), app, platform)


def _scaffold(ref: Ref, app: App) -> _Fields:
    metadata = _Fields(name=ref.name, namespace=app.namespace)
    return _Fields(apiVersion=API_VERSIONS[ref.kind], kind=ref.kind, metadata=metadata)


def _parent(objects: dict[Ref, _Fields], app: App, edit: Edit, rewrites: bool) -> dict[Any, Any]:
    """The mapping or list that holds what an edit sets; made where it is not there yet."""
    node: Any = objects.get(edit.object)
    if node is None:
        node = objects[edit.object] = _scaffold(edit.object, app)
    path = edit.path
    part = path[0]
    for following in path[1:]:
        child = node.get(part)
        if child is None:
            child = node[part] = _new(edit, node, part, following)
        elif type(child) is not (_Items if type(following) is tuple else _Fields):
            if not rewrites:
                raise _Taken
            child = node[part] = _opened(edit, node, part, following, child)
        node = child
        part = following
    parent: dict[Any, Any] = node
    return parent


def _rewrite(parent: dict[Any, Any], part: Step, value: Any, rewrites: bool) -> None:
    """Replaces or removes what is there already."""
    if value is REMOVED:
        parent.pop(part, None)
    elif rewrites:
        parent[part] = value
    else:
        raise _Taken


def _new(edit: Edit, node: Any, part: Step, following: Step) -> Any:
    if type(following) is tuple:
        keys = () if part == ARGUMENTS else merge_key(edit.object.kind, str(part))
        if keys is None:
            raise ValueError(f"list {part} has no merge key: {edit.path}")
        return _Items(keys)
    if type(node) is _Items:
        assert type(part) is tuple
        return _Fields(zip(node.keys_of_item, part, strict=True))
    return _Fields()


def _opened(edit: Edit, node: Any, part: Step, following: Step, value: Any) -> Any:
    """A value that one edit wrote, opened for a rewriting pass; one of another type gives way."""
    opened = _new(edit, node, part, following)
    if type(opened) is _Fields and isinstance(value, dict) and type(value) is not _Items:
        opened.update(value)
    elif type(opened) is _Items and isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and all(isinstance(item.get(key), (str, int)) for key in opened.keys_of_item):
                opened[tuple(item[key] for key in opened.keys_of_item)] = _Fields(item)
    return opened


def _first_writer(pipeline: Iterable[Pass], app: App, platform: Platform, second: Edit) -> str:
    """The pass that wrote the field, or a part of it, first."""
    for step in pipeline:
        for edit in step.apply(app, platform):
            shorter = min(len(edit.path), len(second.path))
            if edit.object == second.object and edit.path[:shorter] == second.path[:shorter]:
                return step.name
    raise AssertionError("an edit that is refused is among the edits of the pipeline")


_MADE = frozenset([_Fields, _Items])


def _plain(node: _Fields | _Items) -> Any:
    if type(node) is _Items:
        return [_plain(value) if type(value) in _MADE else value for value in node.values()]
    return {key: _plain(value) if type(value) in _MADE else value for key, value in node.items()}
