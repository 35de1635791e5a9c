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
# A shell starts Python with the script itself: a path in the first line may hold neither blanks nor many characters.
COMMAND = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
from stormc.__main__ import script

script()
"""


def install() -> None:
    """Writes both files."""
    paths = "".join(f"{ROOT / root}\n" for root in IMPORT_ROOTS)
    Path(sysconfig.get_path("purelib"), "stormc.pth").write_text(paths, encoding="utf-8")
    command = Path(sysconfig.get_path("scripts"), "stormc")
    command.write_text(COMMAND.format(python=shlex.quote(sys.executable)), encoding="utf-8")
    command.chmod(0o755)


if __name__ == "__main__":
    install()
