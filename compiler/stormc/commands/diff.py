"""stormc diff: what a change does to specs, manifests and running pods, before it is merged."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from stormc.commands.documents import print_json
from stormc.commands.speech import say, translated
from stormc.failure import Failure
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    """The base, the head, and how to tell it."""
    parser.add_argument(
        "app", nargs="*", metavar="APP", help="only these: NAME, NAMESPACE/NAME or a spec (default: all)"
    )
    parser.add_argument("--base", metavar="REF", help="what to compare with (where HEAD left its target branch)")
    parser.add_argument("--head", metavar="REF", help="what is new: a commit, or worktree (worktree)")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument(
        "--compiler-base",
        action="store_true",
        help="compare with what the base has in rendered/, made by the stormc of that time: the effect of an upgrade",
    )
    parser.add_argument("--out", type=Path, default=Path("rendered"), metavar="DIR", help="where that is (rendered)")
    parser.add_argument("--manifests", action="store_true", help="show the lines of the rendered files that differ too")
    parser.add_argument(
        "--format", choices=("text", "markdown", "json"), default="text", help="form of the report (text)"
    )


def run(options: argparse.Namespace) -> int:
    """Prints the changes; 0, whatever they are: what is wrong with a spec, validate says."""
    from stormc.actions import diff, diff_of_compilers
    from stormc.actions.surveying import rollout_between
    from stormc.history.branching import main_branches
    from stormc.review import diff_report

    head = None if options.head in (None, "worktree") else options.head
    branches = main_branches(os.environ)
    if options.compiler_base:
        if head is not None or options.app:
            raise Failure(phrase("--compiler-base compares the work tree, all apps: no --head and no APP with it"))
        changes = diff_of_compilers(options.specs, options.out, options.base, branches)
    else:
        changes = diff(options.specs, options.base, head, options.app, branches)
    if options.format == "json":
        print_json(diff_report.as_json(changes))
    elif options.format == "markdown":
        pools = rollout_between(options.specs, options.base, head, branches) if not options.compiler_base else None
        sys.stdout.write(diff_report.markdown(changes, pools, translated=translated))
    else:
        for line in diff_report.text(changes, manifests=options.manifests):
            say(line)
    return 0
