"""stormc init: write a first valid spec."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stormc.failure import Failure


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb."""
    parser.add_argument("name", metavar="NAME", help="name of the app")
    parser.add_argument("--hardware", required=True, metavar="PROFILE", help="see stormc profiles")
    parser.add_argument("--namespace", metavar="NS", help="namespace (default: the platform's)")
    parser.add_argument("--model-path", metavar="PATH", help="directory of the weights (/mnt/models/NAME)")
    parser.add_argument("--image", metavar="IMAGE", help="engine image with a pinned tag")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Writes DIR/NAME.yaml if the spec is valid; never over another file. 1 with findings, which are printed."""
    from stormc.actions import start
    from stormc.commands.findings import print_findings
    from stormc.finding import has_errors
    from stormc.text.rewrite import refuse_links

    path, text, findings = start(
        options.specs, options.name, options.hardware,
        namespace=options.namespace, model_path=options.model_path, image=options.image,
    )  # fmt: skip
    if has_errors(findings):
        print_findings(findings, 1, "text", sys.stderr)
        print("nothing was written", file=sys.stderr)
        return 1
    refuse_links(path)
    options.specs.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(f"{path} exists already") from None
    print(f"wrote {path}; next: stormc render", file=sys.stderr)
    return 0
