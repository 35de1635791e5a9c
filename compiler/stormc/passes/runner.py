"""Folds the edits of all passes into manifests and knows, for every leaf, which pass wrote it and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stormc.facts.kinds import API_VERSIONS, merge_key
from stormc.model.app import App, Ref
from stormc.model.profile import Platform
from stormc.passes.edit import REMOVED, Edit, Item, Step

Apply = Callable[[App, Platform], Iterator[Edit]]


class Pass(NamedTuple):
    """A named step of the pipeline. Only the overrides pass may rewrite what another pass wrote."""

    name: str
    apply: Apply
    rewrites: bool = False


class SecondWriter(Exception):
    """Two passes set the same field: a defect of the pipeline, never of a spec."""

    def __init__(self, edit: Edit, second: str, first: str) -> None:
        super().__init__(f"pass {second} sets {edit.object} {edit.path}, which pass {first} has set")
        self.edit = edit
        self.second = second
        self.first = first


class Origin(NamedTuple):
    """Who wrote a field, and why."""

    by: str
    because: str


@dataclass(frozen=True)
class Compiled:
    """The manifests of one app, in the order in which passes first wrote them, and the origin of every field."""

    manifests: tuple[Mapping[str, Any], ...]
    origins: Mapping[tuple[Ref, tuple[Step, ...]], Origin]


class _Fields(dict[str, Any]):
    """A mapping made of edits; a plain dict inside it is a value that one edit wrote."""


class _Items(dict[Item, _Fields]):
    """A list made of edits, by merge key."""

    __slots__ = ("keys_of_item",)

    def __init__(self, keys_of_item: tuple[str, ...]) -> None:
        self.keys_of_item = keys_of_item


def run_pipeline(pipeline: Iterable[Pass], app: App, platform: Platform) -> Compiled:
    """The manifests of an app. Raises SecondWriter when two passes set the same field."""
    objects: dict[Ref, _Fields] = {}
    origins: dict[tuple[Ref, tuple[Step, ...]], Origin] = {}
    for step in pipeline:
        for edit in step.apply(app, platform):
            root = objects.get(edit.object)
            if root is None:
                root = objects[edit.object] = _scaffold(edit.object, app)
            _fold(root, edit, step, origins)
            origins[edit.object, edit.path] = Origin(step.name, edit.because)
    return Compiled(tuple(_plain(root) for root in objects.values()), origins)


def _scaffold(ref: Ref, app: App) -> _Fields:
    metadata = _Fields(name=ref.name, namespace=app.namespace)
    return _Fields(apiVersion=API_VERSIONS[ref.kind], kind=ref.kind, metadata=metadata)


def _fold(root: _Fields, edit: Edit, step: Pass, origins: Mapping[Any, Origin]) -> None:
    node: Any = root
    path = edit.path
    for index in range(len(path) - 1):
        part, following = path[index], path[index + 1]
        child = node.get(part)
        if child is None:
            child = node[part] = _new(edit, node, part, following)
        elif type(child) is not (_Items if type(following) is tuple else _Fields):
            if not step.rewrites:
                raise SecondWriter(edit, step.name, _writer(origins, edit.object, path[: index + 1]))
            child = node[part] = _opened(edit, node, part, following, child)
        node = child
    last = path[-1]
    if edit.value is REMOVED:
        node.pop(last, None)
        return
    if last in node and not step.rewrites:
        raise SecondWriter(edit, step.name, _writer(origins, edit.object, path))
    node[last] = edit.value


def _new(edit: Edit, node: Any, part: Step, following: Step) -> Any:
    if type(following) is tuple:
        keys = merge_key(edit.object.kind, str(part))
        if keys is None:
            raise ValueError(f"list {part} has no merge key: {edit.path}")
        return _Items(keys)
    if type(node) is _Items:
        assert type(part) is tuple
        return _Fields(zip(node.keys_of_item, part, strict=True))
    return _Fields()


def _opened(edit: Edit, node: Any, part: Step, following: Step, value: Any) -> Any:
    """A value that one edit wrote, opened for the rewriting pass; one of another type gives way."""
    opened = _new(edit, node, part, following)
    if type(opened) is _Fields and isinstance(value, dict) and type(value) is not _Items:
        opened.update(value)
    elif type(opened) is _Items and isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and all(isinstance(item.get(key), (str, int)) for key in opened.keys_of_item):
                opened[tuple(item[key] for key in opened.keys_of_item)] = _Fields(item)
    return opened


def _writer(origins: Mapping[Any, Origin], ref: Ref, path: tuple[Step, ...]) -> str:
    for (other, where), origin in origins.items():
        if other == ref and (where[: len(path)] == path or path[: len(where)] == where):
            return origin.by
    return "the runner"


def _plain(node: Any) -> Any:
    if type(node) is _Fields:
        return {key: _plain(value) for key, value in node.items()}
    if type(node) is _Items:
        return [_plain(value) for value in node.values()]
    return node
