"""Platform defaults under an app: one merged document that still knows where each value came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stormc.finding import START, Finding, Mark, Path
from stormc.load.document import Document
from stormc.model.precedence import FALLBACKS, NO_FALLBACK
from stormc.phrase import NONE, Phrase
from stormc.record import Record

KEEP_NULLS = ("engineArgs", "args", "env")
"""Mappings in which a null removes what stormc or the image would set."""


class Layer(Record):
    """A document and the path below which it holds fields of the merged one."""

    document: Document
    prefix: Path = ()

    @property
    def data(self) -> Mapping[str, Any]:
        """The fields that this layer contributes."""
        value: Any = self.document.data
        for step in self.prefix:
            value = value.get(step)
            if not isinstance(value, dict):
                return {}
        fields: Mapping[str, Any] = value
        return fields


class Layered(Record):
    """The merged fields of some layers, nearest last, with the origin of every path."""

    layers: tuple[Layer, ...]
    data: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The nearest file."""
        return self.layers[-1].document.file

    def locate(self, path: Path, key: bool = False) -> tuple[str, Mark]:
        """File and position of the value (or key) at the path.

        A value inherited from a platform file is found there, and one that a role takes from the app's own field at
        that field; what no file has is found at its nearest parent in the nearest file that has one.
        """
        shared = path[1:]
        if shared and FALLBACKS.get(path[:2], NO_FALLBACK).fields == (shared[:1],) and self._holds(shared[:1]):
            path = path if self._holds(path[:2]) else shared
        for length in range(len(path), 0, -1):
            for layer in reversed(self.layers):
                document, where = layer.document, layer.prefix + path[:length]
                mark = (document.keys if key else document.values).get(where)
                if mark is not None:
                    return document.file, mark
        return self.file, START

    def _holds(self, path: Path) -> bool:
        return any(layer.prefix + path in layer.document.values for layer in self.layers)


def load_minutes(layered: Layered | None) -> int | None:
    """engine.loadMinutes, as measured by whoever wrote it; None where nobody did."""
    engine = layered.data.get("engine") if layered is not None else None
    minutes = engine.get("loadMinutes") if isinstance(engine, dict) else None
    return minutes if isinstance(minutes, int) else None


def finding_at(
    layered: Layered, rule: str, path: Path, message: Phrase, hint: Phrase = NONE, key: bool = False
) -> Finding:
    """A finding at the value, or the key, of a path."""
    file, mark = layered.locate(path, key)
    return Finding(rule, file, mark, message, hint, path)


def merge_layers(layers: Sequence[Layer]) -> Layered:
    """The layers as one document: mappings merge key by key, everything else is replaced by the nearer layer.

    A null takes an inherited value back. Of flags and variables it stays: there it says that there is none at all.
    """
    if len(layers) == 1:
        return Layered(tuple(layers), layers[0].data)
    data: dict[str, Any] = {}
    for layer in layers:
        data = _merged(data, layer.data)
    return Layered(tuple(layers), data)


def _merged(far: Mapping[str, Any], near: Mapping[str, Any], keep_nulls: bool = False) -> dict[str, Any]:
    result = dict(far)
    for key, value in near.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value, keep_nulls or key in KEEP_NULLS)
        elif value is None and key in result and not keep_nulls:
            del result[key]
        else:
            result[key] = value
    return result
