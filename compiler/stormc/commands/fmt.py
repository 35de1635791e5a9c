"""stormc fmt: bring specs into canonical form: order of keys, quotes, indents; comments stay."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stormc.commands.findings import add_format, print_findings
from stormc.commands.speech import say
from stormc.finding import has_errors, in_order
from stormc.nouns import files
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="*", type=Path, metavar="SPEC|DIR", help="format only these (default: all)")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--check", action="store_true", help="write nothing; list what would change and exit 1")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Formats; 1 for a file that is no YAML or, under --check, not in canonical form. Such a file is left alone."""
    from stormc.actions import format_specs
    from stormc.text.rewrite import rewrite

    result = format_specs(options.specs, options.path)
    findings = result.findings
    if options.check:
        findings = in_order([*findings, *result.stale])
    else:
        for file, text in result.texts.items():
            if not Path(file).is_symlink():  # a link below specs leads to a file that is formatted itself
                rewrite(Path(file), text)
    print_findings(findings, len(result.files), options.format, sys.stdout)
    changed, total = len(result.texts), files(len(result.files))
    some = phrase("{changed} of {files} changed", changed=changed, files=total)
    would = phrase("{changed} of {files} would change", changed=changed, files=total)
    say(would if options.check else some, error=True)
    return 1 if has_errors(findings) else 0
