"""How large a manifest may be, which no schema says. In a module of its own, since schema_check.py loads slowly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.finding import Path
from stormc.phrase import Phrase, phrase
from stormc.record import NamedTuple

CONFIG_MAP_BYTES = 1024 * 1024
"""Bytes of all values together (kubernetes pkg/apis/core/validation ValidateConfigMap, core.MaxSecretSize)."""


class SchemaProblem(NamedTuple):
    """One thing that the API server would refuse or drop, and where."""

    path: Path
    message: Phrase


def check_size(manifest: Mapping[str, Any]) -> list[SchemaProblem]:
    """The problem of a ConfigMap that is too large. The shape of the manifest has to be right."""
    if manifest["kind"] != "ConfigMap":
        return []
    texts = manifest.get("data", {}).values()
    if 4 * sum(map(len, texts)) <= CONFIG_MAP_BYTES:  # no letter has more than four bytes
        return []
    size = sum(len(text.encode()) for text in texts)
    if size <= CONFIG_MAP_BYTES:
        return []
    message = phrase(
        "data has {size} bytes, the limit is {config_map_bytes}", size=size, config_map_bytes=CONFIG_MAP_BYTES
    )
    return [SchemaProblem(("data",), message)]
