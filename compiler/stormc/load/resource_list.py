"""A ResourceList of the KRM function protocol, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any

import yaml

from stormc.failure import Failure
from stormc.load.foreign import ForeignLoader
from stormc.phrase import phrase

MAX_VALUES = 1_000_000
"""Values of a list, each counted as often as aliases repeat it."""
VERSION, KIND = "config.kubernetes.io/v1", "ResourceList"


def read_resource_list(raw: bytes) -> dict[str, Any]:
    """The list, with dates as text. Raises Failure for anything else; kustomize and kpt write the input."""
    try:
        data = _plain(yaml.load(raw, Loader=ForeignLoader), count(1))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Failure(phrase("standard input is not YAML ({name})", name=type(error).__name__)) from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise Failure(phrase("standard input is no {kind}; a KRM function is run by kustomize or kpt", kind=KIND))
    if not isinstance(data.get("items") or [], list):
        raise Failure(phrase("items of the {kind} are not a list", kind=KIND))
    return data


def _plain(value: Any, counted: Iterator[int]) -> Any:
    if next(counted) > MAX_VALUES:
        raise ValueError("aliases repeat too much")
    if isinstance(value, dict):
        return {str(key): _plain(item, counted) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, counted) for item in value]
    return value.isoformat() if isinstance(value, date) else value
