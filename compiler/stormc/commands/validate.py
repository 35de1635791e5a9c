"""stormc validate: report what the cluster would reject or silently break; write nothing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormc.commands.findings import add_format, add_stdin, add_strict, from_stdin, is_failed, print_findings
from stormc.commands.progress import Progress
from stormc.commands.speech import say
from stormc.failure import Failure
from stormc.nouns import apps
from stormc.phrase import phrase
from stormc.report.text import count

if TYPE_CHECKING:
    from stormc.finding import Finding


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        nargs="*",
        type=Path,
        metavar="SPEC|DIR",
        help="check only these (default: all); - reads one from standard input",
    )
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument(
        "--changed", action="store_true", help="check only apps that differ from --base in Git, or whose platform does"
    )
    parser.add_argument(
        "--base", metavar="REF", help="what to differ from (where HEAD left origin/HEAD or main, else HEAD)"
    )
    parser.add_argument(
        "--crd", type=Path, metavar="FILE", help="check the output against this CustomResourceDefinition too"
    )
    add_format(parser)
    add_strict(parser)
    add_stdin(parser)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes to use")


def run(options: argparse.Namespace) -> int:
    """Validates and prints; 0 without errors, 1 with some, or under --strict with warnings."""
    from stormc.actions import validate

    stdin_spec = from_stdin(options, options.path)
    if stdin_spec is not None:
        return _stdin(options, stdin_spec)
    changed = _changed(options)
    crd = _crd(options.crd)
    with Progress("checking") as progress:
        result = validate(
            options.specs, options.path, changed=changed, crd=crd, jobs=max(1, options.jobs), progress=progress
        )
    findings = [*result.findings, *_resized(options)]
    print_findings(findings, result.apps, options.format, sys.stdout)
    say(phrase("{apps}: {count}", apps=apps(result.apps), count=count(findings)), error=True)
    return 1 if is_failed(findings, options.strict) else 0


def _stdin(options: argparse.Namespace, stdin_spec: bytes) -> int:
    """Checks the spec on standard input, where --stdin-filename says, as editors do with what is not saved yet."""
    from stormc.actions import stream

    if options.changed or options.path or options.crd:
        raise Failure(phrase("- is the only spec, and goes without --changed and --crd"))
    result = stream(options.specs, (), stdin_spec, options.stdin_filename)
    print_findings(result.findings, result.apps, options.format, sys.stdout)
    say(phrase("{apps}: {count}", apps=apps(1), count=count(result.findings)), error=True)
    return 1 if is_failed(result.findings, options.strict) else 0


def _resized(options: argparse.Namespace) -> list[Finding]:
    """What --changed sees by comparing with the base."""
    if not options.changed:
        return []
    from stormc.actions import diff
    from stormc.actions.resizing import check_resizing
    from stormc.history.branching import main_branches

    changes = diff(options.specs, options.base, branches=main_branches(os.environ))
    return list(check_resizing(changes))


def _crd(file: Path | None) -> Mapping[str, Any] | None:
    if file is None:
        return None
    from stormc.load.crd import load_crd

    return load_crd(file)


def _changed(options: argparse.Namespace) -> frozenset[str] | None:
    """The files that --changed is about, None without it; importing Git costs as much as checking a spec."""
    if not options.changed:
        if options.base is not None:
            raise Failure(phrase("--base goes with --changed"))
        return None
    if options.path:
        raise Failure(phrase("--changed chooses the specs itself: give no SPEC with it"))
    from stormc.history.branching import main_branches
    from stormc.history.changes import changed_files

    return changed_files(options.specs, options.base, main_branches(os.environ))
