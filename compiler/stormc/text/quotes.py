"""Which strings need quotes: those that a reader of YAML 1.1 or 1.2 could take for something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    FoldedScalarString,
    LiteralScalarString,
    PlainScalarString,
)

from stormc.finding import Path
from stormc.text.order import sorted_keys

_SAFE = re.compile(
    r"(?:/|-{0,2}[A-Za-z])[A-Za-z0-9 _./@%+=()*'-]*(?::[A-Za-z0-9_./@%+=-]+)*"
    r"|[0-9]+(?:[KMGT]i|m|-[A-Za-z][A-Za-z0-9_.-]*)"
)
"""What every reader of YAML 1.1 or 1.2 takes for a string without quotes, in block and flow style; but for _WORDS."""


_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"])


def set_quotes(node: Any, data: Any, root: Mapping[str, Any], path: Path, *, in_flow: bool) -> None:
    """Gives every string below a node its quotes, and no others, and orders flow mappings; text blocks stay blocks."""
    in_flow = in_flow or bool(node.fa.flow_style())
    items = list(zip(node, data, strict=True)) if isinstance(data, dict) else list(enumerate(range(len(data))))
    for key, name in items:
        value = data[name]
        if isinstance(value, (dict, list)):
            set_quotes(node[key], value, root, (*path, name), in_flow=in_flow)
        elif isinstance(value, str) and not isinstance(node[key], (LiteralScalarString, FoldedScalarString)):
            scalar, anchor = quoted(value, in_flow=in_flow), getattr(node[key], "anchor", None)
            if anchor is not None and anchor.value:
                scalar.yaml_set_anchor(anchor.value, always_dump=True)
            node[key] = scalar
    if isinstance(data, dict):
        for position, (key, name) in enumerate(items):
            quoted_key = quoted(name, in_flow=in_flow)
            if isinstance(key, str) and _style(key) != _style(quoted_key):
                comments = node.ca.items.pop(key, None)
                value = node.pop(key)
                node.insert(position, quoted_key, value)
                if comments:
                    node.ca.items[quoted_key] = comments
        if node.fa.flow_style():
            keys = dict(zip(data, list(node), strict=True))  # what ruamel reads as a number or a truth value, too
            for name in sorted_keys(root, path):
                node.move_to_end(keys[name])


def quoted(value: str, *, in_flow: bool = False) -> Any:
    """A string with the quotes that it needs; in flow style old readers, libyaml 0.1 among them, trip over a colon."""
    safe = _SAFE.fullmatch(value) and value.lower() not in _WORDS and not value.endswith(" ")
    safe = safe and not (in_flow and ":" in value)
    return PlainScalarString(value) if safe else DoubleQuotedScalarString(value)


def _style(key: str) -> str:
    return getattr(key, "style", "")
