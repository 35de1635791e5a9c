"""The CI workflow: it may do little, trusts pinned actions only, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.__main__ import parser

ROOT = Path(__file__).parent.parent
WORKFLOW: Any = yaml.load((ROOT / ".github/workflows/ci.yaml").read_text(), Loader=yaml.BaseLoader)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]


def test_nothing_may_be_written_but_code_scanning_results() -> None:
    assert WORKFLOW["permissions"] == {}
    assert set(WORKFLOW["on"]) == {"pull_request", "push"}
    writes = {(name, what) for name, job in JOBS.items() for what, how in job["permissions"].items() if how == "write"}
    assert writes == {("code-scanning", "security-events")}
    assert not [step for step in JOBS["code-scanning"]["steps"] if "run" in step]


def test_actions_are_pinned() -> None:
    used = {step["uses"] for step in STEPS if "uses" in step}
    assert used and all(re.fullmatch(r"[\w-]+/[\w/-]+@(v\d+|[0-9a-f]{40})", action) for action in used)
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    kept = [step["with"]["persist-credentials"] for step in checkouts]
    assert kept == ["false"] * len(JOBS)


def test_the_stormc_commands_are_valid() -> None:
    lines = [step["run"].split(" > ")[0] for step in STEPS if "stormc" in step.get("run", "")]
    options = [parser(words[1]).parse_args(words[1:]) for words in map(shlex.split, lines)]
    assert [(o.verb, getattr(o, "check", None), getattr(o, "format", None)) for o in options] == [
        ("validate", None, "github"), ("render", True, "text"), ("fmt", True, "text"), ("validate", None, "sarif"),
    ]  # fmt: skip


@pytest.mark.parametrize("target", [w for s in STEPS for w in s.get("run", "").split() if s["run"].startswith("make")])
def test_the_make_targets_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    assert target == "make" or re.search(rf"^{re.escape(target)}:", makefile, re.M)
