"""stormc render: compile specs and bring the rendered directory up to date."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stormc.failure import Failure
from stormc.phrase import phrase

if TYPE_CHECKING:
    from stormc.actions.effects import Effects
    from stormc.actions.rendering import Rendered
    from stormc.tree.plan import Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb."""
    from stormc.commands.findings import add_format, add_stdin, add_strict

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
    from stormc.review.words import app_lines, counted

    for service in effects.services:
        first, *rest = app_lines(service.label, service.effect)
        yield f"{first} (moved from {service.moved_from})" if service.moved_from else first
        yield from rest
    if effects.more:
        yield f"{counted(effects.more, 'service')} more; see: stormc diff"


def _annotate(effects: Effects) -> None:
    """One annotation per service: a warning where NPU pods restart."""
    from stormc.report.escape import raw
    from stormc.report.github import PER_LEVEL, annotation
    from stormc.review.words import app_lines

    for service in effects.services[:PER_LEVEL]:
        level = "warning" if service.effect.restarts_npus else "notice"
        lines = "\n".join(app_lines(service.label, service.effect))
        print(annotation(level, f"effect on {service.label}", lines), file=raw(sys.stdout))


def _print_changes(options: argparse.Namespace, result: Rendered, plan: Plan, told: TextIO) -> None:
    """What would change under --check, what leaves the tree, and what becomes of running pods."""
    from stormc.report.escape import one_line

    if options.diff:
        from stormc.commands.streaming import changed_lines

        for line in changed_lines(options.out, plan):
            print(one_line(line.rstrip("\n")), file=told)
    elif options.check:
        for path in plan.writes:
            kind = "change" if (options.out / path).exists() else "create"
            print(f"{kind} {one_line(str(options.out / path))}", file=told)
        for path in plan.removals:
            print(f"remove {one_line(str(options.out / path))}", file=told)
    if options.format == "github":
        _annotate(result.effects)
    made_by = [f"{options.out} was rendered by stormc {one}, and now by this one" for one in result.made_by]
    for line in (*made_by, *result.departures, *_effects(result.effects)):
        print(one_line(line), file=told if options.check else sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Renders and prints; 0 when all is well, 1 with errors or, under --check, with differences."""
    from stormc.commands.findings import from_stdin

    given = from_stdin(options, options.spec)
    options.check |= options.diff
    if options.staged and not options.check:
        raise Failure(phrase("--staged goes with --check"))
    if given is not None and (options.spec or not options.stdout):
        raise Failure(
            phrase("a spec from standard input is the only one, and has no place in a directory: give --stdout")
        )
    if options.stdout and options.check:
        raise Failure(phrase("--stdout writes no files that --check or --diff could compare"))
    if options.stdout:
        from stormc.commands.streaming import to_stdout

        return to_stdout(options, given)
    return _to_directory(options)


def _to_directory(options: argparse.Namespace) -> int:
    from stormc.actions import render
    from stormc.commands.findings import print_findings
    from stormc.commands.progress import Progress
    from stormc.finding import has_errors
    from stormc.report.text import count

    start = time.perf_counter()
    with Progress("rendering") as progress:
        result = render(
            options.specs, options.out, options.spec, check=options.check, staged=options.staged,
            strict=options.strict, jobs=max(1, options.jobs), progress=progress,
        )  # fmt: skip
    as_text = options.format == "text"
    print_findings(result.findings, result.apps, options.format, sys.stderr if as_text else sys.stdout)
    told = sys.stdout if as_text else sys.stderr  # a document has standard output for itself
    plan = result.plan
    if plan is None or has_errors(result.findings):
        print(f"{count(result.findings)}; nothing was written", file=sys.stderr)
        return 1
    _print_changes(options, result, plan, told)
    seconds = time.perf_counter() - start
    noun = "file" if len(plan.writes) == 1 else "files"
    verb = ("to write", "to remove") if options.check else ("written", "removed")
    print(
        f"{result.apps} app{'' if result.apps == 1 else 's'}: {len(plan.writes)} {noun} {verb[0]}, "
        f"{plan.unchanged} unchanged, {len(plan.removals)} {verb[1]}, {seconds:.2f} s",
        file=sys.stderr if options.check else told,
    )
    if options.check and not plan.is_empty:
        stale = f"{options.out} is not what {options.specs} renders to; run: stormc render"
        print(stale, file=sys.stderr)
        return 1
    return 0
