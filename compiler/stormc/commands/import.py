"""stormc import: turn a config of the k8s-deploy-tool, or StormServices written by hand, into specs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.documents import print_documents
from stormc.commands.findings import print_findings
from stormc.commands.speech import say
from stormc.failure import Failure
from stormc.finding import in_order
from stormc.phrase import phrase

if TYPE_CHECKING:
    from stormc.actions.importing import Imported


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE", help="config or StormServices; - is stdin")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write NAME.yaml there (default: print the specs)")
    parser.add_argument("--force", action="store_true", help="write over specs that are there")
    parser.add_argument(
        "--verify", action=argparse.BooleanOptionalAction, default=True, help="list how the result differs (yes)"
    )
    parser.add_argument("--hardware", metavar="PROFILE", help="the profile, where the file does not tell")
    parser.add_argument("--model-path", metavar="PATH", help="the weights inside the pod, where they cannot be told")
    parser.add_argument("--owner", default="imported", metavar="NAME", help="owner of the overrides (imported)")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Prints or writes the specs, findings and differences to stderr; 1 and nothing written with an error in any."""
    from stormc.actions.importing import broken, import_into, target
    from stormc.migrate.difference import lines
    from stormc.migrate.proposal import Chosen

    where = target(options.specs, options.out)
    chosen = Chosen(options.hardware, options.model_path)
    apps = [
        app for path in options.file
        for app in import_into(str(path), _bytes(path), where, chosen, options.owner)
    ]  # fmt: skip
    for app in apps:
        print_findings(in_order(app.findings), 1, "text", sys.stderr)
        if options.verify and app.differences:
            say(phrase("{name} differs from what was read:", name=app.name), error=True)
            for line in lines(app.differences):
                say(phrase("  {line}", line=line), error=True)
    if options.out is None:
        print_documents([app.text for app in apps if app.text is not None])
    elif not any(map(broken, apps)):
        _write(options, apps)
    if any(map(broken, apps)):
        say(phrase("nothing was written") if options.out else phrase("not every app can be rendered"), error=True)
        return 1
    return 0


def _bytes(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _write(options: argparse.Namespace, apps: list[Imported]) -> None:
    from stormc.text.rewrite import refuse_links, rewrite

    names = [app.name for app in apps]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Failure(phrase("{twice} is there more than once; nothing was written", twice=twice))
    files = {options.out / f"{app.name}.yaml": app.text or "" for app in apps}
    if not options.force and (there := next((file for file in files if os.path.lexists(file)), None)):
        raise Failure(phrase("{there} exists already; --force writes over it. Nothing was written", there=there))
    for file in files:
        refuse_links(file)
    options.out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        rewrite(file, text)
        say(phrase("wrote {file}", file=file), error=True)
    say(phrase("next: stormc render"), error=True)
