"""Secrets that stand in a spec itself, in whatever field: passwords in URLs, tokens, keys of mappings."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path, dotted
from stormc.phrase import phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import PLAIN_SECRET
from stormc.policy.secrets import holds_password, holds_secret, names_secret

_FLAGS = ("engineArgs", "args")
"""Fields whose keys are flags, which environment.py judges; the keys of mappings below them are free."""
_REFERENCE = phrase("keep it in a Secret, and let a variable refer to it: {{secretKeyRef: {{name: SECRET, key: KEY}}}}")


def plain_text(case: Case) -> Iterator[Breach]:
    """Secrets among all texts of the spec and of the defaults above it."""
    for path, text in texts(case.written, ()):
        if holds_password(text):
            message = phrase("{path} holds a password in a URL", path=dotted(path))
            yield Breach(PLAIN_SECRET.forbidden.id, path, message, _REFERENCE)
        elif holds_secret(text) or _is_named(path, text):
            message = phrase("{path} holds a secret in plain text", path=dotted(path))
            yield from case.breach(PLAIN_SECRET, path, message, _REFERENCE)


def _is_named(path: Path, text: str) -> bool:
    """Whether the key of a text says that it is a secret, in a mapping that people write themselves."""
    free = "kvTransfer" in path[:-1] or any(step in _FLAGS for step in path[:-2])
    return free and text != "" and "$(" not in text and isinstance(path[-1], str) and names_secret(path[-1])


def texts(node: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text below a node, with its path."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        if isinstance(value, str):
            yield (*path, step), value
        else:
            yield from texts(value, (*path, step))
