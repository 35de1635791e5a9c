"""The file of a render's memory as JSON data, for tests that change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stormc.digest import digest


def read(file: Path) -> Any:
    """The compiler, and the entries of all apps by spec path."""
    first, *lines = file.read_text().split("\n")
    entries = (line.split("\t") for line in lines)
    compiler = json.loads(first.split("\t")[2])
    return {"compiler": compiler, "apps": {json.loads(path): json.loads(entry) for path, _, entry in entries}}


def text(data: Any) -> bytes:
    """The file that holds such data, whatever shape it has by now; its digests are right."""
    apps = data.get("apps")
    if isinstance(apps, dict):
        lines = "".join(f"\n{json.dumps(path)}\t{_sealed(json.dumps(path), entry)}" for path, entry in apps.items())
    else:
        lines = f"\n{json.dumps(apps)}"
    return f"{digest(lines.encode())}\t{_sealed('compiler', data.get('compiler'))}{lines}".encode()


def _sealed(key: str, value: Any) -> str:
    content = json.dumps(value)
    return f"{digest(key.encode(), content.encode())}\t{content}"
