"""stormc promote: copy the tunable fields of an app from one directory of specs to another, and show the diff."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.findings import print_findings
from stormc.commands.speech import say
from stormc.finding import has_errors
from stormc.phrase import phrase
from stormc.report.text import count

if TYPE_CHECKING:
    from stormc.actions.promoting import Promotion


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", metavar="APP", help="name of the app in both directories")
    parser.add_argument("--from", type=Path, required=True, dest="origin", metavar="DIR", help="where it was tried out")
    parser.add_argument("--to", type=Path, required=True, dest="destination", metavar="DIR", help="where it goes next")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--exact", action="store_true", help="take out what only the destination has, too")
    parser.add_argument("--dry-run", action="store_true", help="write nothing; exit 1 if there is something to promote")


def _told(promotion: Promotion) -> Iterator[str]:
    """What stays because only the destination has it, and what becomes of running pods."""
    from stormc.review.words import app_lines

    if promotion.only_in_destination:
        fields = ", ".join(promotion.only_in_destination)
        yield phrase("only in {file}, and kept: {kept} (--exact takes them out)", file=promotion.file, kept=fields)
    if promotion.diff and promotion.effect is not None:
        yield from app_lines(promotion.label, promotion.effect)


def run(options: argparse.Namespace) -> int:
    """Promotes and prints the diff; 0 when all is well, 1 with errors or, under --dry-run, with a difference."""
    from stormc.actions.promoting import promote, write_promotion

    promotion = promote(options.specs, options.origin, options.destination, options.app, exact=options.exact)
    print_findings(promotion.findings, 1, "text", sys.stderr)
    sys.stdout.write(promotion.diff)
    if has_errors(promotion.findings):
        say(phrase("{count}; nothing was written", count=count(promotion.findings)), error=True)
        return 1
    for line in _told(promotion):
        say(line, error=True)
    if not promotion.diff:
        say(phrase("nothing to promote: {file} has the same tunable fields", file=promotion.file), error=True)
        return 0
    if options.dry_run:
        return 1
    write_promotion(promotion)
    say(phrase("wrote {file}; run: stormc render", file=promotion.file), error=True)
    return 0
