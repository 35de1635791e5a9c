"""A spec given as plain data, as text in canonical form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString

from stormc.finding import Path
from stormc.text.order import sorted_keys
from stormc.text.quotes import quoted
from stormc.text.roundtrip import dumped


def spec_text(data: Mapping[str, Any]) -> str:
    """The canonical text of a spec given as plain data."""
    return dumped(_canonical(data, data)).lstrip("\n")


def _canonical(value: Any, root: Mapping[str, Any], path: Path = ()) -> Any:
    """Plain data as ruamel writes it: keys in order, strings with their quotes."""
    if isinstance(value, Mapping):
        mapping = CommentedMap(
            {quoted(key): _canonical(value[key], root, (*path, key)) for key in sorted_keys(root, path)}
        )
        if not mapping:
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        flat = all(isinstance(item, (str, int)) and "\n" not in str(item) for item in value)
        sequence = CommentedSeq(
            quoted(item, in_flow=True) if flat and isinstance(item, str) else _canonical(item, root, (*path, index))
            for index, item in enumerate(value)
        )
        if flat:
            sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str):
        clean = "\n" in value and re.fullmatch(r"[^\s](.*[^\s])?(\n(.*[^\s])?)*", value) and "\t" not in value
        return LiteralScalarString(value) if clean else quoted(value)
    return value
