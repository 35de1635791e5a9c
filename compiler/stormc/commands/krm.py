"""stormc krm: a KRM function for kustomize and kpt: a ResourceList on standard input, another on standard output."""

from __future__ import annotations

import argparse
import json
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing: the protocol says everything on standard input."""


def run(options: argparse.Namespace) -> int:
    """Prints the list, as JSON, which is YAML; 1 when a spec in it has errors. Raises Failure for other input."""
    from stormc.actions.krm import run as answer
    from stormc.commands.documents import print_json

    answered = answer(sys.stdin.buffer.read())
    print_json(json.dumps(answered.resource_list, indent=2) + "\n")
    for result in answered.resource_list.get("results", ()):
        if result["severity"] != "info":
            print(f"{result['file']['path']}: {result['message']}", file=sys.stderr)
    return 1 if answered.failed else 0
