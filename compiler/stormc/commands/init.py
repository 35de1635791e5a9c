"""stormc init: write a first valid spec."""

from __future__ import annotations

import argparse
import os
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
    from stormc.commands.findings import print_findings
    from stormc.finding import did_you_mean, has_errors
    from stormc.load.sources import Source, Sources, read_sources
    from stormc.repository.catalogue import profile_files
    from stormc.repository.world import World, load_profile
    from stormc.text.starter import starter

    files = profile_files(options.specs)
    if options.hardware not in files:
        hint = did_you_mean(options.hardware, files) or "see: stormc profiles"
        raise Failure(f"no profile {options.hardware}; {hint}")
    profile, _ = load_profile(str(files[options.hardware]), files[options.hardware].read_bytes())
    if profile is None:
        raise Failure(f"{files[options.hardware]} is not valid, see: stormc validate")
    path = options.specs / f"{options.name}.yaml"
    text = starter(options.name, profile, options.namespace, options.model_path, options.image)
    schema = options.specs.parent / "schema" / "app.schema.json"
    if schema.is_file():
        text = f"# yaml-language-server: $schema={os.path.relpath(schema, options.specs)}\n{text}"
    known = read_sources(options.specs) if options.specs.is_dir() else Sources(options.specs.name, (), ())
    source = Source(path.name, str(path), text.encode())
    findings = World(known).compile(source).findings
    if has_errors(findings):
        print_findings(findings, 1, "text", sys.stderr)
        print("nothing was written", file=sys.stderr)
        return 1
    options.specs.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(f"{path} exists already") from None
    print(f"wrote {path}; next: stormc render", file=sys.stderr)
    return 0
