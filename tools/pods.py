"""Pods as AIBrix makes them of rendered StormServices, for scanners that know no StormService.

`python -m tools.pods rendered/a3/my-test | kube-score score -`: one Pod per role, with its labels, annotations and
spec. Other objects of the directory are printed as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


def pods(service: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A Pod per role of a StormService, in its namespace."""
    metadata = service["metadata"]
    for role in service["spec"]["template"]["spec"]["roles"]:
        template = role["template"]
        about = {"name": f"{metadata['name']}-{role['name']}", **template.get("metadata", {})}
        if "namespace" in metadata:
            about["namespace"] = metadata["namespace"]
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}


def objects(directory: Path) -> Iterator[Mapping[str, Any]]:
    """The objects of a rendered app, Pods in place of its StormService."""
    for path in sorted(directory.glob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield from pods(manifest) if manifest["kind"] == "StormService" else (manifest,)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="+", help="a directory of rendered/")
    yaml.safe_dump_all((each for path in parser.parse_args().directory for each in objects(path)), sys.stdout)
