"""stormc policy: show what holds for an app and which file says it, or export it for the API server."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stormc.commands.documents import print_documents


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what the policies above an app allow")
    show.add_argument("app", metavar="APP", help="the name of an app, or its spec")
    show.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    export = actions.add_parser("export", help="the policy of a directory of specs, for the API server")
    export.add_argument("--vap", action="store_true", required=True, help="as ValidatingAdmissionPolicies that audit")
    export.add_argument("directory", nargs="?", default="", metavar="DIR", help="a directory below the specs (the top)")
    export.add_argument("--name", default="stormc", help="beginning of the names (stormc)")
    export.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Prints a line per field and file, or manifests."""
    return _export(options) if options.action == "export" else _show(options)


def _export(options: argparse.Namespace) -> int:
    from stormc.actions import export_policy

    print_documents(export_policy(options.specs, options.directory, options.name))
    return 0


def _show(options: argparse.Namespace) -> int:
    from stormc.actions import policies_of

    allowed = policies_of(options.specs, options.app)
    if not allowed:
        print(f"no policy holds for {options.app}: what is relevant to security is a warning", file=sys.stderr)
    for each in allowed:
        print(f"{each.field}: {json.dumps(each.value)}  ({each.file}:{each.mark.line})")
    return 0
