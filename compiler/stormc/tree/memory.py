"""What the last render of a tree found out, so that an unchanged spec is not compiled again.

An entry holds for one digest of everything that goes into an app: spec, platform files, profiles, compiler sources.
Nothing depends on it but speed: a missing, foreign or damaged file means that everything is compiled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from stormc.digest import digest
from stormc.finding import Finding, Mark
from stormc.model.summary import Summary
from stormc.payload.read import read_payload

FILE = "compiled.json"


class Memory(NamedTuple):
    """An app as the last render left it: input digest, summary, findings, and the hash of each rendered file.

    `stamp` is what the file system said of the files when they had these hashes; empty where it is not known.
    """

    digest: str
    summary: Summary
    findings: tuple[Finding, ...]
    hashes: Mapping[str, str]
    stamp: str = ""


@cache
def compiler_digest() -> str:
    """A digest of the compiler's own sources and data: any change of them makes memories void.

    So does a change of the proxy, whose source is rendered.
    """
    compiler = os.path.dirname(os.path.dirname(__file__))
    parts = [read_payload().proxy_version.encode()]
    for directory, names, files in os.walk(compiler):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            if name.endswith((".py", ".yaml", ".json")):
                with open(f"{directory}/{name}", "rb") as file:
                    parts += [name.encode(), file.read()]
    return digest(*parts)


def input_digest(parts: Iterable[bytes]) -> str:
    """A digest of everything that an app is compiled from."""
    return digest(compiler_digest().encode(), *parts)


def recall(state: Path) -> dict[str, Memory]:
    """The memories by spec path; empty when there are none or they cannot be trusted."""
    try:
        with open(state / FILE, "rb") as file:
            data = json.load(file)
        if data["compiler"] != compiler_digest():
            return {}
        return {path: _memory(entry) for path, entry in data["apps"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _memory(entry: list[Any]) -> Memory:
    digest, (*facts, mark, cluster, inventory, model, expiries, ports), findings, hashes, stamp = entry
    days, ranges = tuple(map(tuple, expiries)), tuple(map(tuple, ports))
    summary = Summary._make([*facts, Mark(*mark), cluster, inventory, model, days, ranges])
    restored = (
        Finding(rule, where, Mark(*at), message, hint, tuple(path)) for rule, where, at, message, hint, path in findings
    )
    return Memory(digest, summary, tuple(restored), dict(hashes), str(stamp))


def remember(state: Path, memories: Mapping[str, Memory]) -> None:
    """Keeps the memories for the next render; atomic, and silent where the directory cannot be written."""
    text = json.dumps({"compiler": compiler_digest(), "apps": memories}, separators=(",", ":"))
    temporary = state / f"{FILE}.{os.getpid()}"
    try:
        temporary.write_text(text)
        temporary.replace(state / FILE)
    except OSError:
        temporary.unlink(missing_ok=True)
