"""Directories of specs and what they render to, errors included; `make golden` refreshes the expectation."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from stormc.__main__ import main
from stormc.payload.read import Payload
from tests.samples import program

CASES = Path(__file__).parent / "cases"

PROGRAMS = Payload(
    program("abcdefghij", {"launch.py": "print('launcher')\n"}),
    program("0123456789", {"__init__.py": "", "__main__.py": "print('proxy')\n", "flow/__init__.py": ""}),
)
"""Stands for the launcher and the proxy, whose text would otherwise change the expectations."""


def names() -> list[str]:
    """The names of all cases."""
    return sorted(path.name for path in CASES.iterdir() if path.is_dir())


def run_case(name: str, work: Path) -> dict[str, str]:
    """Renders a case with the real command in `work`: the files by path, and what was printed as `output.txt`."""
    printed = io.StringIO()
    before = Path.cwd()
    (work / "specs").symlink_to(CASES / name / "specs")
    os.chdir(work)
    try:
        programs = mock.patch("stormc.actions.rendering.read_payload", return_value=PROGRAMS)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), programs:
            code = main(["render", "-j", "1"])
    finally:
        os.chdir(before)
    text = re.sub(r"\d+\.\d\d s$", "N s", printed.getvalue(), flags=re.M)
    rendered = work / "rendered"
    files = {
        str(path.relative_to(work)): path.read_text(encoding="utf-8")
        for path in sorted(rendered.rglob("*"))
        if path.is_file()
    }
    return {**files, "output.txt": f"{text}exit code {code}\n"}
