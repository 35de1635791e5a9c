"""Pod templates as AIBrix compares them, and the leaves in which two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from stormc.facts.keys import Annotation
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.compare import LeafPath, differing, leaves

# Go writes these back even when they are empty: their fields are pointers (k8s.io/api core/v1 types.go).
_POINTERS = frozenset({
    "emptyDir", "securityContext", "enableServiceLinks", "automountServiceAccountToken", "allowPrivilegeEscalation",
    "readOnlyRootFilesystem", "replicas", "optional", "runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup",
    "terminationGracePeriodSeconds", "tolerationSeconds", "defaultMode", "shareProcessNamespace", "privileged",
})  # fmt: skip


def as_stored(value: Any) -> Any:
    """A value as AIBrix hashes it: the API types drop what is zero or empty, unless a pointer holds it.

    Two templates with equal stored forms have the same hash, so that no pod is replaced
    (AIBrix v0.5.0 pkg/controller/util/controller_utils.go:59-71).
    """
    if isinstance(value, Mapping):
        stored = {key: as_stored(item) for key, item in value.items()}
        return {key: item for key, item in stored.items() if key in _POINTERS or item not in ("", 0, False, [], {})}
    if isinstance(value, list | tuple):
        return [as_stored(item) for item in value]
    return value


class Field(Enum):
    """What a leaf of a pod template is to the people who change it; a release of AIBrix is around all of them."""

    AIBRIX = phrase("AIBrix")
    GANG_SIZE = phrase("gang size")
    IMAGE = phrase("image")
    FLAG = phrase("flag")
    ENV = phrase("variable")
    LABEL = phrase("label")
    ANNOTATION = phrase("annotation")
    PORT = phrase("port")
    NODE_SELECTOR = phrase("node selector")
    OTHER = phrase("field")


class Change(NamedTuple):
    """One leaf that differs. `name` is the flag, the variable, the key, or the whole path; None stands for absent."""

    field: Field
    name: str
    before: Any
    after: Any


GANG_SIZE_ANNOTATION = Annotation.SCHEDULE_MIN_AVAILABLE


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The leaves in which two pod templates differ, those first that matter most to people."""
    old, new = _leaves(before), _leaves(after)
    differences = {_described(path, old.get(path), new.get(path)) for path in differing(old, new)}
    order = list(Field)
    return tuple(sorted(differences, key=lambda change: (order.index(change.field), change.name)))


def _leaves(template: Mapping[str, Any]) -> dict[LeafPath, Any]:
    """What people change in a template: each argument by its flag, and lists that are one value as text."""
    values: dict[LeafPath, Any] = {}
    for path, value in leaves("StormService", as_stored(template)):
        if path[-1:] == ("args",) and isinstance(value, list):
            values |= {(*path, flag): argument for flag, argument in flags(value).items()}
        else:
            values[path] = repr(value) if isinstance(value, list | Mapping) else value
    return values


def flags(arguments: list[Any]) -> dict[str, str]:
    """The arguments of a command by flag; words without a flag stand under their position."""
    values: dict[str, str] = {}
    flag = ""
    for position, argument in enumerate(map(str, arguments)):
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            values[flag] = value
            flag = "" if equals else flag
        elif flag:
            values[flag] = f"{values[flag]} {argument}".strip()
        else:
            values[f"word {position + 1}"] = argument
    return values


def _described(path: LeafPath, before: Any, after: Any) -> Change:
    steps = [str(step[0]) if isinstance(step, tuple) else step for step in path]
    if steps[:2] == ["metadata", "annotations"]:
        if steps[-1] == GANG_SIZE_ANNOTATION:
            return Change(Field.GANG_SIZE, Field.GANG_SIZE.value, before, after)
        return Change(Field.ANNOTATION, steps[-1], before, after)
    if steps[:2] == ["metadata", "labels"]:
        return Change(Field.LABEL, steps[-1], before, after)
    if steps[:2] == ["spec", "nodeSelector"]:
        return Change(Field.NODE_SELECTOR, steps[-1], before, after)
    inner = steps[3:] if steps[:2] == ["spec", "containers"] else []
    if inner == ["image"]:
        return Change(Field.IMAGE, "image", before, after)
    if inner[:1] == ["args"]:
        return Change(Field.FLAG, inner[1], before, after)
    if inner[:1] == ["env"]:
        return Change(Field.ENV, inner[1], before, after)
    if inner[:1] == ["ports"]:
        return Change(Field.PORT, inner[1], before, after)
    return Change(Field.OTHER, ".".join(steps), before, after)
