"""Files that people have, and what `stormc import` makes of them."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

from stormc.__main__ import main

CASES = Path(__file__).parent / "cases"
VERSION = re.compile(r"(?<=-proxy-)[0-9a-f]{10}")
"""The version of the proxy's source in a ConfigMap's name: it changes with the proxy, not with the import."""


def names() -> list[str]:
    """The cases."""
    return sorted(path.name for path in CASES.iterdir())


def run_case(name: str) -> dict[str, str]:
    """What the import of a case's input prints: its specs, and what it says, with the exit code."""
    case = CASES / name
    extra = case / "arguments.txt"
    words = ["import", "input.yaml", *(extra.read_text(encoding="utf-8").split() if extra.exists() else ())]
    out, said = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
        Path("input.yaml").write_bytes((case / "input.yaml").read_bytes())
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            code = main(words)
    return {"spec.yaml": out.getvalue(), "said.txt": f"{VERSION.sub('…', said.getvalue())}exit code {code}\n"}


def refresh() -> None:
    """Writes the expectation of every case anew."""
    for name in names():
        for file, text in run_case(name).items():
            (CASES / name / file).write_text(text, encoding="utf-8")
