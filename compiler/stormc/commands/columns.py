"""The width of help texts, without shutil, whose import loads every compression library."""

from __future__ import annotations

import argparse
import os
import sys

FALLBACK = 80


class Formatter(argparse.HelpFormatter):
    """argparse's own, told the width. argparse makes one for every argument that it is given."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


def columns() -> int:
    """The width of the terminal as shutil.get_terminal_size finds it: COLUMNS, the terminal, 80."""
    words = os.environ.get("COLUMNS", "")
    if words.isdecimal() and int(words) > 0:
        return int(words)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or FALLBACK  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return FALLBACK
