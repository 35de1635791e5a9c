"""stormc capacity: what all apps take of the nodes that platform files count, and whether all of them fit at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stormc.commands.documents import print_json
from stormc.commands.speech import say
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where the specs are, what to compare with, and the form."""
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument(
        "--base",
        metavar="REF",
        help="show beside it what the apps took at a commit, and what they take while the change rolls out",
    )
    parser.add_argument("--format", choices=("text", "json", "html"), default="text", help="form of the report (text)")


def run(options: argparse.Namespace) -> int:
    """Prints the report; 1 where the gangs of a pool cannot all run at once, or where an app has errors."""
    from stormc.actions import survey
    from stormc.actions.comparing import committed_sources
    from stormc.actions.surveying import rollout_of
    from stormc.review import capacity
    from stormc.review.placing import Verdict

    surveyed = survey(options.specs)
    report = capacity.capacity(surveyed.pools, surveyed.demands)
    change = None
    if options.base is not None:
        change = rollout_of(survey(committed_sources(options.specs, options.base)), surveyed)
    if options.format == "json":
        print_json(capacity.as_json(report, change))
    elif options.format == "html":
        sys.stdout.write(capacity.page(report))
    else:
        for line in capacity.text(report, change):
            say(line)
    for finding in surveyed.errors:
        say(
            phrase(
                "not counted: {file}:{line}: {rule} {message}",
                file=finding.file,
                line=finding.mark.line,
                rule=finding.rule,
                message=finding.message,
            ),
            error=True,
        )
    too_small = any(one.verdict is Verdict.TOO_SMALL for one in report.placements)
    return 1 if too_small or surveyed.errors else 0
