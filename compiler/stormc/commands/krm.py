"""stormc krm: a KRM function for kustomize and kpt: a ResourceList on standard input, another on standard output."""

from __future__ import annotations

import argparse
import json
import sys

from stormc.commands.documents import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing: the protocol says everything on standard input."""


def run(options: argparse.Namespace) -> int:
    """Prints the list, as JSON, which is YAML; 1 when a spec in it has errors. Raises Failure for other input."""
    from stormc.actions import transform

    answer = transform(sys.stdin.buffer.read())
    print_json(json.dumps(answer.resource_list, indent=2) + "\n")
    for result in answer.resource_list.get("results", ()):
        if result["severity"] != "info":
            print(f"{result['file']['path']}: {result['message']}", file=sys.stderr)
    return 1 if answer.failed else 0
