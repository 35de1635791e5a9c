"""Writes every golden case, import and report of a diff anew: `python -m tests.golden.refresh`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests import migrate
from tests.golden import CASES, names, run_case
from tests.review import edits


def refresh() -> None:
    """Replaces `expected/` of every case by what the compiler makes of it now."""
    for name in names():
        expected = CASES / name / "expected"
        shutil.rmtree(expected, ignore_errors=True)
        with tempfile.TemporaryDirectory() as work:
            for path, text in run_case(name, Path(work)).items():
                target = expected / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    refresh()
    migrate.refresh()
    edits.refresh()
