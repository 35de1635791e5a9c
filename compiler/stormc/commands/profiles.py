"""stormc profiles: the hardware profiles that specs may name."""

from __future__ import annotations

import argparse
from pathlib import Path

from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.phrase import phrase, with_hint


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this profile with its sources")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Prints a table of all profiles, or the file of one. Raises Failure for an unknown name."""
    from stormc.repository.catalogue import profile_files, profile_table

    if options.name is None:
        for line in profile_table(options.specs):
            print(line)
        return 0
    files = profile_files(options.specs)
    if options.name not in files:
        raise Failure(with_hint(phrase("no profile {name}", name=options.name), did_you_mean(options.name, files)))
    print(files[options.name].read_text(encoding="utf-8"), end="")
    return 0
