"""The file of a render's memory as JSON data, for tests that change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stormc.digest import digest


def read(file: Path) -> Any:
    """The compiler, and the entries of all apps by spec path."""
    first, *lines = file.read_text().split("\n")[1:]
    entries = (line.split("\t") for line in lines)
    return {"compiler": json.loads(first), "apps": {json.loads(path): json.loads(entry) for path, entry in entries}}


def text(data: Any) -> bytes:
    """The file that holds such data, whatever shape it has by now; its checksum is right."""
    lines = [json.dumps(data.get("compiler"))]
    apps = data.get("apps")
    if isinstance(apps, dict):
        lines += [f"{json.dumps(path)}\t{json.dumps(entry)}" for path, entry in apps.items()]
    else:
        lines.append(json.dumps(apps))
    body = "\n".join(lines).encode()
    return digest(body).encode() + b"\n" + body
