"""Canonical YAML of manifests: one spelling for one value, safe for YAML 1.1 and 1.2 readers alike.

Written by hand because the shape is fixed (mappings, lists, strings, whole numbers, booleans) and a general emitter
is the largest single cost of a render. Keys come in the order in which people read Kubernetes objects, lists keep
theirs, nothing is folded, nothing is an alias, and every string that some reader could take for another type is
quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

KEY_ORDER = (
    "apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "path", "type", "replicas",
    "stateful", "podGroupSize", "upgradeOrder", "updateStrategy", "selector", "template", "spec", "data",
    "schedulerName", "priorityClassName", "nodeSelector", "tolerations", "restartPolicy",
    "terminationGracePeriodSeconds", "enableServiceLinks", "automountServiceAccountToken",
    "imagePullSecrets", "securityContext", "topologySpreadConstraints",
    "initContainers", "image", "imagePullPolicy", "workingDir", "command", "args", "env", "value", "valueFrom",
    "containerPort", "port", "targetPort", "protocol", "ports", "resources", "startupProbe", "readinessProbe",
    "livenessProbe", "lifecycle", "httpGet", "mountPath", "volumeMounts", "containers", "volumes", "roles",
)  # fmt: skip
_RANK = {key: rank for rank, key in enumerate(KEY_ORDER)}
_ALPHABETICAL = frozenset({"labels", "annotations", "matchLabels", "nodeSelector", "data", "limits", "requests"})

_PLAIN = re.compile(r"(?:/|-{0,2}[A-Za-z])[A-Za-z0-9_./@%+=,-]*(?::[A-Za-z0-9_./@%+=,-]+)*\Z")
"""A string that no YAML reader takes for anything but a string, words apart; blanks and most signs are quoted."""
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"])
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_CONTROL = r"[\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
"""Letters that must be escaped. None of them is printable, which Python knows sooner than a pattern."""
_UNSAFE = r'["\\]|' + _CONTROL
_NOT_IN_BLOCK = _CONTROL.replace(r"\x00-\x1f", r"\x00-\x09\x0b-\x1f")

_scalars: dict[str, str] = {}
_orders: dict[tuple[str, ...], tuple[str, ...]] = {}
_CACHED = 50_000
_LONG = 2_000


def emit_yaml(manifest: Mapping[str, Any]) -> str:
    """The YAML text of a manifest, newline at the end. Raises TypeError for what JSON does not know, and floats."""
    lines: list[str] = []
    _mapping(manifest, "", "", False, lines)
    lines.append("")
    return "\n".join(lines)


def _mapping(node: Mapping[str, Any], first: str, indent: str, alphabetical: bool, lines: list[str]) -> None:
    """Appends the lines of a mapping; `first` starts its first line (a list dash), `indent` all others."""
    lead = first or indent
    known = _scalars.get
    keys = tuple(node)
    for key in sorted(keys) if alphabetical else _orders.get(keys) or _ordered(keys):
        value = node[key]
        name = known(key) or _scalar(key)
        kind = type(value)
        if kind is str:
            lines.append(f"{lead}{name}: {known(value) or _text(value, indent)}")
        elif kind is bool:
            lines.append(f"{lead}{name}: {'true' if value else 'false'}")
        elif kind is int:
            lines.append(f"{lead}{name}: {value}")
        elif isinstance(value, dict):
            if value:
                lines.append(f"{lead}{name}:")
                _mapping(value, "", indent + "  ", key in _ALPHABETICAL, lines)
            else:
                lines.append(f"{lead}{name}: {{}}")
        elif isinstance(value, list):
            if value:
                lines.append(f"{lead}{name}:")
                _sequence(value, indent + "  ", lines)
            else:
                lines.append(f"{lead}{name}: []")
        elif value is None:
            lines.append(f"{lead}{name}: null")
        else:
            raise TypeError(f"{name}: {kind.__name__} has no place in a manifest")
        lead = indent


def _sequence(node: list[Any], indent: str, lines: list[str]) -> None:
    for item in node:
        if isinstance(item, dict) and item:
            _mapping(item, f"{indent}- ", indent + "  ", False, lines)
        elif isinstance(item, str):
            lines.append(f"{indent}- {_scalars.get(item) or _text(item, indent)}")
        elif isinstance(item, (dict, list)) and not item:
            lines.append(f"{indent}- {'{}' if isinstance(item, dict) else '[]'}")
        elif type(item) is int:
            lines.append(f"{indent}- {item}")
        elif item is None or isinstance(item, bool):
            lines.append(f"{indent}- {'null' if item is None else str(item).lower()}")
        else:
            raise TypeError(f"{type(item).__name__} has no place in a list of a manifest")


def _ordered(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys in reading order; those that the table does not know follow by name."""
    order = tuple(sorted(keys, key=lambda key: (_RANK.get(key, len(_RANK)), key)))
    if len(_orders) < _CACHED:
        _orders[keys] = order
    return order


def _text(value: str, indent: str) -> str:
    """A string as a value; a program, which every namespace has, is laid out once."""
    return _program(value, indent) if len(value) > _LONG else _short(value, indent)


def _short(value: str, indent: str) -> str:
    """A string as a value: a literal block where it has several clean lines, else one scalar."""
    if "\n" in value and value[0] not in " \n" and " \n" not in value:
        return _block(value, indent)
    return _scalar(value)


_program = lru_cache(maxsize=256)(_short)


def _block(value: str, indent: str) -> str:
    """A string of several lines, none of which ends in a blank, as a literal block, or quoted when it would change."""
    if not value.replace("\n", "").isprintable() and re.search(_NOT_IN_BLOCK, value):
        return _scalar(value)
    body = value.rstrip("\n")
    trailing = len(value) - len(body)
    chomping = "" if trailing == 1 else "-" if trailing == 0 else "+"
    inner = f"{indent}  "
    indented = (inner + body.replace("\n", f"\n{inner}")).replace(f"{inner}\n", "\n")  # an empty line stays empty
    return f"|{chomping}\n{indented}" + "\n" * max(0, trailing - 1)


def _scalar(value: str) -> str:
    """A string on one line, plain only where no reader of YAML 1.1 or 1.2 takes it for something else."""
    if _PLAIN.match(value) and value.lower() not in _WORDS:
        text = value
    elif not value.isprintable() and re.search(_CONTROL, value):
        text = f'"{re.sub(_UNSAFE, _escaped, value)}"'
    elif '"' in value:
        text = "'" + value.replace("'", "''") + "'"
    else:
        text = '"' + value.replace("\\", "\\\\") + '"'
    if len(_scalars) < _CACHED and len(value) < 200:
        _scalars[value] = text
    return text


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise TypeError(f"lone surrogate U+{code:04X} in a string")
    return _ESCAPES.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
