"""How commands print findings: the --format argument, and the document on a stream."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from stormc.finding import Finding

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What counts as a line for the YAML parser, whose marks findings carry."""


def add_format(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that chooses a format."""
    from stormc.report import FORMATS

    parser.add_argument("--format", choices=FORMATS, default="text", help="how findings are printed (text)")


def print_findings(findings: Sequence[Finding], apps: int, chosen: str, stream: TextIO) -> None:
    """Prints the findings as the chosen format; a file that is gone by now is shown without its lines."""
    from stormc import __version__
    from stormc.languages import language_of
    from stormc.report import Report
    from stormc.report.escape import raw
    from stormc.report.text import wants_colour

    colour = wants_colour(stream.isatty(), os.environ)
    report = Report(findings, apps, __version__, cache(_lines), colour, language_of(os.environ))
    for line in import_module(f"stormc.report.{chosen}").lines(report):
        print(line, file=raw(stream))


def _lines(file: str) -> tuple[str, ...]:
    try:
        return tuple(_BREAK.split(Path(file).read_bytes().decode("utf-8-sig", "replace")))
    except (OSError, ValueError):
        return ()
