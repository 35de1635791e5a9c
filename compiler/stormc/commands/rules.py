"""stormc rules: list every finding id with severity and title."""

from __future__ import annotations

import argparse
import os

from stormc.languages import language_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace) -> int:
    """Prints a line per id."""
    from stormc.reference.pages import table

    for line in table(language_of(os.environ)):
        print(line)
    return 0
