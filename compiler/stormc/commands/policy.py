"""stormc policy: show what holds for an app and which platform file says it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what the policies above an app allow")
    show.add_argument("app", metavar="APP", help="the name of an app, or its spec")
    show.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Prints a line per field and file."""
    from stormc.actions.policies import policy_for

    allowed = policy_for(options.specs, options.app)
    if not allowed:
        print(f"no policy holds for {options.app}: what is relevant to security is a warning", file=sys.stderr)
    for each in allowed:
        print(f"{each.field}: {json.dumps(each.value)}  ({each.file}:{each.mark.line})")
    return 0
