"""Installs stormc in place: a path file beside the installed packages and the command, without a build or a download.

`.venv/bin/python tools/in_place.py` makes the environment of that interpreter run the sources of this checkout.
"""

from __future__ import annotations

import shlex
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMPORT_ROOTS = ("compiler", "proxy")
COMMAND = """{start}
from stormc.start import script

script()
"""
DIRECT = "#!{python}"
BY_SHELL = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''"""
LONGEST_FIRST_LINE = 127
"""Bytes of a first line that every Linux kernel reads (BINPRM_BUF_SIZE before 5.1)."""


def command(python: str) -> str:
    """The command: Python with the script itself, by a shell where its path has blanks or is too long."""
    direct = DIRECT.format(python=python)
    plain = shlex.quote(python) == python and len(direct.encode()) <= LONGEST_FIRST_LINE
    return COMMAND.format(start=direct if plain else BY_SHELL.format(python=shlex.quote(python)))


def install() -> None:
    """Writes both files."""
    paths = "".join(f"{ROOT / root}\n" for root in IMPORT_ROOTS)
    Path(sysconfig.get_path("purelib"), "stormc.pth").write_text(paths, encoding="utf-8")
    script = Path(sysconfig.get_path("scripts"), "stormc")
    script.write_text(command(sys.executable), encoding="utf-8")
    script.chmod(0o755)


if __name__ == "__main__":
    install()
