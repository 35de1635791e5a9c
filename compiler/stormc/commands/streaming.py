"""render without writing: manifests on standard output, and the lines that would change."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.documents import print_documents
from stormc.commands.findings import is_failed, print_findings
from stormc.commands.speech import say
from stormc.phrase import phrase
from stormc.report.text import count

if TYPE_CHECKING:
    from stormc.tree.plan import Plan


def to_stdout(options: argparse.Namespace, stdin_spec: bytes | None) -> int:
    """Prints the manifests of the specs, and of one from standard input; findings go to standard error."""
    from stormc.actions import stream
    from stormc.emit.canonical import emit_yaml

    result = stream(options.specs, options.spec, stdin_spec, options.stdin_filename)
    print_findings(result.findings, result.apps, options.format, sys.stderr)
    if is_failed(result.findings, options.strict):
        say(phrase("{count}; nothing was printed", count=count(result.findings)), error=True)
        return 1
    print_documents([emit_yaml(manifest) for manifest in result.manifests])
    return 0


def changed_lines(out: Path, plan: Plan) -> Iterator[str]:
    """A unified diff of every file that would be written or removed, as `git apply` reads it."""
    from stormc.tree.read import on_disk

    for path in sorted(plan.paths):
        if path.endswith("/"):
            continue
        before, after = on_disk(out, path), plan.writes.get(path)
        old, new = ((text or b"").decode("utf-8", "replace").splitlines(keepends=True) for text in (before, after))
        names = (f"a/{out}/{path}" if before is not None else "/dev/null",
                 f"b/{out}/{path}" if after is not None else "/dev/null")  # fmt: skip
        yield from unified_diff(old, new, *names)
