"""stormc fmt: bring specs into canonical form: order of keys, quotes, indents; comments stay."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.speech import say
from stormc.phrase import phrase

if TYPE_CHECKING:
    from stormc.finding import Finding
    from stormc.load.sources import Source


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb."""
    from stormc.commands.findings import add_format

    parser.add_argument("path", nargs="*", type=Path, metavar="SPEC|DIR", help="format only these (default: all)")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--check", action="store_true", help="write nothing; list what would change and exit 1")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Formats; 1 for a file that is no YAML or, under --check, not in canonical form. Such a file is left alone."""
    from stormc.commands.findings import print_findings
    from stormc.finding import has_errors, in_order
    from stormc.load.sources import read_sources
    from stormc.text.format import formatted, stale
    from stormc.text.rewrite import refuse_links, rewrite

    files: list[Source] = []
    findings: list[Finding] = []
    for path in options.path or [options.specs]:
        if path.is_dir() or path == options.specs:
            sources = read_sources(path)
            findings += sources.findings
            files += sources.files
        else:
            refuse_links(path)
            files.append(_file(path))
    changed = 0
    for source in {source.file: source for source in files}.values():
        text, found = formatted(source.file, source.raw)
        findings += found
        late = stale(source.file, source.raw, text) if text is not None else None
        if text is None or late is None:
            continue
        changed += 1
        if options.check:
            findings.append(late)
        elif not Path(source.file).is_symlink():  # what a link inside of specs leads to is formatted itself
            rewrite(Path(source.file), text)
    print_findings(in_order(findings), len(files), options.format, sys.stdout)
    from stormc.nouns import files as count_files

    some = phrase("{changed} of {files} changed", changed=changed, files=count_files(len(files)))
    would = phrase("{changed} of {files} would change", changed=changed, files=count_files(len(files)))
    say(would if options.check else some, error=True)
    return 1 if has_errors(findings) else 0


def _file(path: Path) -> Source:
    from stormc.load.sources import Source

    return Source(path.as_posix(), str(path), path.read_bytes())
