"""`make scan`: what kube-score says of the pods of all examples is what docs/security.md answers, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tools.pods import objects

ROOT = Path(__file__).parents[1]
CRITICAL = 1
ROUTING = {"container-image-pull-policy", "container-ephemeral-storage-request-and-limit"}
ENGINE = {*ROUTING, "container-resources", "container-security-context-user-group-id",
          "container-security-context-readonlyrootfilesystem"}  # fmt: skip
SHARED = {"service-targets-pod", "pod-networkpolicy"}
"""Checks of objects against each other, which cannot know the labels that AIBrix gives pods, nor `networkPolicy`."""


def unanswered(directory: Path, program: str) -> list[str]:
    """The findings on an app that docs/security.md has no answer to."""
    text = yaml.safe_dump_all(objects(directory))
    done = subprocess.run(
        [program, "score", "-o", "json", "-"], input=text, capture_output=True, text=True, check=False
    )
    new = []
    for scored in json.loads(done.stdout):
        answered = SHARED | (ROUTING if scored["object_name"].endswith("-routing") else ENGINE)
        for check in scored["checks"]:
            if check["grade"] == CRITICAL and not check["skipped"] and check["check"]["id"] not in answered:
                new.append(f"{directory}: {scored['object_name']}: {check['check']['name']}")
    return new


if __name__ == "__main__":
    apps = sorted(path.parent for path in (ROOT / "rendered").glob("*/*/stormservice-*.yaml"))
    found = [line for app in apps for line in unanswered(app, sys.argv[1])]
    print("\n".join([*found, f"{len(apps)} apps, {len(found)} findings that docs/security.md does not answer"]))
    raise SystemExit(1 if found or not apps else 0)
