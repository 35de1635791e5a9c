"""stormc render: compile specs and bring the rendered directory up to date."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stormc.commands.findings import add_format, add_stdin, add_strict, from_stdin, print_findings
from stormc.commands.progress import Progress
from stormc.commands.speech import say, translated
from stormc.failure import Failure
from stormc.finding import has_errors
from stormc.nouns import apps, files, services
from stormc.phrase import Phrase, phrase
from stormc.report.escape import one_line, raw
from stormc.report.text import count

if TYPE_CHECKING:
    from stormc.actions.effects import Effects
    from stormc.actions.rendering import Rendered
    from stormc.tree.plan import Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec", nargs="*", type=Path, metavar="SPEC",
        help="render only these specs (default: all); - reads one from standard input",
    )  # fmt: skip
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--out", type=Path, default=Path("rendered"), metavar="DIR", help="where to write (rendered)")
    parser.add_argument("--check", action="store_true", help="write nothing; list what would change and exit 1")
    parser.add_argument(
        "--staged", action="store_true", help="with --check: the next commit of Git must hold what is rendered, too"
    )
    parser.add_argument("--diff", action="store_true", help="as --check, and show the lines that would change")
    parser.add_argument(
        "--stdout", action="store_true", help="print the manifests, those that apps share first; write nothing"
    )
    add_format(parser)
    add_strict(parser)
    add_stdin(parser)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes to use")


def _effects(effects: Effects) -> Iterator[str]:
    """What becomes of running pods, told at the end, where people look."""
    if not effects.services:
        return
    from stormc.review.words import app_lines

    for service in effects.services:
        first, *rest = app_lines(service.label, service.effect)
        moved = phrase("{first} (moved from {directory})", first=first, directory=service.moved_from)
        yield moved if service.moved_from else first
        yield from rest
    if effects.more:
        yield phrase("{services} more; see: stormc diff", services=services(effects.more))


def _annotate(effects: Effects) -> None:
    """One annotation per service: a warning where NPU pods restart."""
    from stormc.report.github import PER_LEVEL, annotation
    from stormc.review.words import app_lines

    for service in effects.services[:PER_LEVEL]:
        level = "warning" if service.effect.restarts_npus else "notice"
        lines = "\n".join(map(translated, app_lines(service.label, service.effect)))
        title = translated(phrase("effect on {label}", label=service.label))
        print(annotation(level, title, lines), file=raw(sys.stdout))


def _print_changes(options: argparse.Namespace, result: Rendered, plan: Plan, stream: TextIO) -> None:
    """What would change under --check, what leaves the tree, and what becomes of running pods."""
    if options.diff:
        from stormc.commands.streaming import changed_lines

        for line in changed_lines(options.out, plan):
            print(one_line(line.rstrip("\n")), file=stream)
    elif options.check:
        for path in plan.paths:
            print(translated(_change(one_line(str(options.out / path)), path in plan.writes)), file=stream)
    if options.format == "github":
        _annotate(result.effects)
    made_by = [
        phrase("{out} was rendered by stormc {version}, and now by this one", out=options.out, version=one)
        for one in result.made_by
    ]
    for line in (*made_by, *result.departures, *_effects(result.effects)):
        print(one_line(translated(line)), file=stream if options.check else sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Renders and prints; 0 when all is well, 1 with errors or, under --check, with differences."""
    stdin_spec = from_stdin(options, options.spec)
    options.check |= options.diff
    if options.staged and not options.check:
        raise Failure(phrase("--staged goes with --check"))
    if stdin_spec is not None and (options.spec or not options.stdout):
        raise Failure(
            phrase("a spec from standard input is the only one, and has no place in a directory: give --stdout")
        )
    if options.stdout and options.check:
        raise Failure(phrase("--stdout writes no files that --check or --diff could compare"))
    if options.stdout:
        from stormc.commands.streaming import to_stdout

        return to_stdout(options, stdin_spec)
    return _to_directory(options)


def _change(path: str, written: bool) -> Phrase:
    """What would become of a file."""
    if not written:
        return phrase("remove {path}", path=path)
    return phrase("change {path}", path=path) if Path(path).exists() else phrase("create {path}", path=path)


def _summary(result: Rendered, plan: Plan, seconds: float, *, check: bool) -> Phrase:
    """How many files there are of each sort."""
    if check:
        return phrase(
            "{apps}: {writes} to write, {unchanged} unchanged, {removals} to remove, {seconds} s",
            apps=apps(result.apps), writes=files(len(plan.writes)), unchanged=plan.unchanged,
            removals=len(plan.removals), seconds=f"{seconds:.2f}",
        )  # fmt: skip
    return phrase(
        "{apps}: {writes} written, {unchanged} unchanged, {removals} removed, {seconds} s",
        apps=apps(result.apps), writes=files(len(plan.writes)), unchanged=plan.unchanged,
        removals=len(plan.removals), seconds=f"{seconds:.2f}",
    )  # fmt: skip


def _to_directory(options: argparse.Namespace) -> int:
    from stormc.actions import render

    start = time.perf_counter()
    with Progress("rendering") as progress:
        result = render(
            options.specs, options.out, options.spec, check=options.check, staged=options.staged,
            strict=options.strict, jobs=max(1, options.jobs), progress=progress,
        )  # fmt: skip
    as_text = options.format == "text"
    print_findings(result.findings, result.apps, options.format, sys.stderr if as_text else sys.stdout)
    stream = sys.stdout if as_text else sys.stderr  # a document has standard output for itself
    plan = result.plan
    if plan is None or has_errors(result.findings):
        say(phrase("{count}; nothing was written", count=count(result.findings)), error=True)
        return 1
    _print_changes(options, result, plan, stream)
    seconds = time.perf_counter() - start
    print(
        translated(_summary(result, plan, seconds, check=options.check)), file=sys.stderr if options.check else stream
    )
    if options.check and not plan.is_empty:
        stale = phrase("{out} is not what {specs} renders to; run: stormc render", out=options.out, specs=options.specs)
        say(stale, error=True)
        return 1
    return 0
