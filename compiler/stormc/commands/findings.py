"""How commands print findings: the --format argument, and the document on a stream."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stormc import __version__
from stormc.failure import Failure
from stormc.languages import language_of
from stormc.phrase import phrase
from stormc.report import FORMATS, Report
from stormc.report.escape import raw
from stormc.report.text import wants_colour

if TYPE_CHECKING:
    from stormc.finding import Finding

MAX_BYTES = 1 << 20
"""Of a spec, as in load/document.py, which takes longer to import."""

_BREAK = "\r\n|[\r\n\x85\u2028\u2029]"
"""What counts as a line for the YAML parser, whose marks findings carry."""


def add_format(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that chooses a format."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="how findings are printed (text)")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Adds the argument by which warnings count as errors."""
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings too")


def add_stdin(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that says which file standard input stands for; `-` as the spec reads it."""
    parser.add_argument(
        "--stdin-filename", type=Path, metavar="FILE", help="with - as the spec: the file that it stands for"
    )


def from_stdin(options: argparse.Namespace, named: list[Path]) -> bytes | None:
    """The spec on standard input where `-` is among the named ones, which is taken out of the list. Raises Failure."""
    if Path("-") not in named:
        if options.stdin_filename is not None:
            raise Failure(phrase("--stdin-filename goes with - as the spec"))
        return None
    named.remove(Path("-"))
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def is_failed(findings: Sequence[Finding], strict: bool) -> bool:
    """Whether there are errors, or with `strict` warnings."""
    return any(finding.rule[0] == "E" or (strict and finding.rule[0] == "W") for finding in findings)


def print_findings(findings: Sequence[Finding], apps: int, chosen: str, stream: TextIO) -> None:
    """Prints the findings in the chosen format; without lines of a file that cannot be read any more."""
    colour = wants_colour(stream.isatty(), os.environ)
    report = Report(findings, apps, __version__, cache(_lines), colour, language_of(os.environ))
    lines = import_module(f"stormc.report.{chosen}").lines(report)
    print("".join(f"{line}\n" for line in lines), end="", file=raw(stream))  # each by itself is a system call


def _lines(file: str) -> tuple[str, ...]:
    try:
        return tuple(re.split(_BREAK, Path(file).read_bytes().decode("utf-8-sig", "replace")))
    except (OSError, ValueError):
        return ()
