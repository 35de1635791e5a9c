"""`make scan`: what kube-score and checkov say of all examples' pods is what docs/security.md answers, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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

CHECKOV_ROUTING = {"CKV2_K8S_6", "CKV_K8S_15", "CKV_K8S_21", "CKV_K8S_43"}
CHECKOV_ENGINE = {
    *CHECKOV_ROUTING, "CKV_K8S_8", "CKV_K8S_11", "CKV_K8S_13", "CKV_K8S_22", "CKV_K8S_23", "CKV_K8S_29", "CKV_K8S_31",
    "CKV_K8S_37", "CKV_K8S_40",
}  # fmt: skip


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


def unanswered_by_checkov(apps: list[Path], program: str) -> list[str]:
    """The findings of checkov on all apps that docs/security.md has no answer to."""
    with tempfile.TemporaryDirectory() as directory:
        for number, app in enumerate(apps):
            (Path(directory) / f"{number}.yaml").write_text(yaml.safe_dump_all(objects(app)))
        words = ["-d", directory, "--framework", "kubernetes", "-o", "json", "--quiet", "--skip-download"]
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    if not report["summary"]["passed"]:
        raise SystemExit(f"checkov checked nothing: {done.stderr[-500:]}")
    new = set()
    for failed in report["results"]["failed_checks"]:
        answered = CHECKOV_ROUTING if failed["resource"].endswith("-routing") else CHECKOV_ENGINE
        if failed["check_id"] not in answered:
            new.add(f"{failed['resource']}: {failed['check_id']} {failed['check_name']}")
    return sorted(new)


if __name__ == "__main__":
    apps = sorted(path.parent for path in (ROOT / "rendered").glob("*/*/stormservice-*.yaml"))
    found = [line for app in apps for line in unanswered(app, sys.argv[1])]
    found += unanswered_by_checkov(apps, sys.argv[2])
    print("\n".join([*found, f"{len(apps)} apps, {len(found)} findings that docs/security.md does not answer"]))
    raise SystemExit(1 if found or not apps else 0)
