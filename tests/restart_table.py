"""The rows of docs/restarts.md, for tests that hold them against compiled manifests and against real controllers."""

from __future__ import annotations

import re
from pathlib import Path

DOC = (Path(__file__).parent.parent / "docs/restarts.md").read_text(encoding="utf-8")
ROLES = ("prefill", "decode", "routing")


def rows() -> list[tuple[str, str, tuple[str, ...]]]:
    """(base, change, effects) of every row of the document whose change is a piece of a spec."""
    found = []
    base = ""
    for line in DOC.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| Change"):
            base = (re.findall(r"with `(.*)`", cells[0]) or ["{}"])[0]
        elif line.startswith("| `"):
            found.append((base, cells[0].strip("`"), tuple(cells[1:])))
    return found


def documented(change: str) -> tuple[str, ...]:
    """The effects of a row that is told in words."""
    (line,) = [line for line in DOC.splitlines() if line.startswith(f"| {change} |")]
    return tuple(cell.strip() for cell in line.strip("|").split("|")[1:])
