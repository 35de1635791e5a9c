"""The CI workflows: they may do little, trust pinned actions only, and their commands exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.__main__ import parser

ROOT = Path(__file__).parent.parent
WORKFLOW: Any = yaml.load((ROOT / ".github/workflows/ci.yaml").read_text(), Loader=yaml.BaseLoader)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
E2E: Any = yaml.load((ROOT / ".github/workflows/e2e.yaml").read_text(), Loader=yaml.BaseLoader)
E2E_STEPS = E2E["jobs"]["e2e"]["steps"]


def test_nothing_may_be_written_but_code_scanning_results() -> None:
    assert WORKFLOW["permissions"] == {}
    assert set(WORKFLOW["on"]) == {"pull_request", "push"}
    writes = {(name, what) for name, job in JOBS.items() for what, how in job["permissions"].items() if how == "write"}
    assert writes == {("code-scanning", "security-events"), ("comment", "pull-requests")}
    for name, _ in writes:
        assert not [step for step in JOBS[name]["steps"] if "run" in step]


def test_actions_are_pinned() -> None:
    used = {step["uses"] for step in STEPS + E2E_STEPS if "uses" in step}
    assert used and all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", action) for action in used)
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    kept = [step["with"]["persist-credentials"] for step in checkouts]
    assert kept == ["false"] * (len(JOBS) - 1)  # the comment needs no file of the repository


def test_the_stormc_commands_are_valid() -> None:
    lines = [step["run"].split(" > ")[0] for step in STEPS if "stormc" in step.get("run", "")]
    options = [parser(words[1]).parse_args(words[1:]) for words in map(shlex.split, lines)]
    assert [(o.verb, getattr(o, "check", None), getattr(o, "format", None)) for o in options] == [
        ("validate", None, "github"), ("render", True, "text"), ("fmt", True, "text"), ("validate", None, "sarif"),
        ("diff", None, "markdown"), ("diff", None, "json"),
    ]  # fmt: skip


def test_the_real_programs_are_tried_every_week_by_a_job_that_may_write_nothing() -> None:
    assert E2E["permissions"] == {} and E2E["jobs"]["e2e"]["permissions"] == {"contents": "read"}
    assert set(E2E["on"]) == {"schedule", "workflow_dispatch"}
    assert [step["with"]["persist-credentials"] for step in E2E_STEPS if "checkout@" in step.get("uses", "")] == [
        "false"
    ]
    makefile = (ROOT / "Makefile").read_text()
    targets = [step["run"].partition(" make ")[2] for step in E2E_STEPS if "run" in step]
    assert targets == ["e2e-tools", "e2e"] and all(f"\n{target}: " in makefile for target in targets)


@pytest.mark.parametrize("target", [w for s in STEPS for w in s.get("run", "").split() if s["run"].startswith("make")])
def test_the_make_targets_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    assert target == "make" or re.search(rf"^{re.escape(target)}:", makefile, re.M)


SCRIPT = next(step["with"]["script"] for step in JOBS["comment"]["steps"] if "script" in step.get("with", {}))
GITHUB = """
const calls = [];
const rest = name => args => { calls.push([name, args]); return {}; };
const answers = {listComments: COMMENTS, listLabelsOnIssue: LABELS};
const issues = {};
for (const name of ['listComments', 'createComment', 'updateComment', 'listLabelsOnIssue', 'addLabels', 'removeLabel'])
  issues[name] = Object.assign(rest(name), {verb: name});
const github = {rest: {issues}, paginate: async verb => answers[verb.verb]};
const context = {repo: {owner: 'o', repo: 'r'}, issue: {number: 7}};
(async () => { SCRIPT })().then(() => console.log(JSON.stringify(calls)), e => { console.error(e); process.exit(1); });
"""
BOT = {"id": 5, "user": {"type": "Bot"}, "body": "<!-- stormc diff -->\nold"}
PERSON = {"id": 4, "user": {"type": "User"}, "body": "<!-- stormc diff -->\nquoted"}
LABEL = {"name": "restarts NPU pods"}


@pytest.mark.parametrize(
    ("comments", "labels", "restarting", "expected"),
    [
        ([], [], 0, ["createComment"]),
        ([PERSON], [], 2, ["createComment", "addLabels"]),
        ([PERSON, BOT], [LABEL], 1, ["updateComment"]),
        ([BOT], [LABEL], 0, ["updateComment", "removeLabel"]),
    ],
)
def test_the_comment_is_one_and_the_label_follows(
    tmp_path: Path, comments: list[Any], labels: list[Any], restarting: int, expected: list[str]
) -> None:
    """The script of the workflow, run by the real Node with a stand-in for GitHub."""
    (tmp_path / "comment.md").write_text("<!-- stormc diff -->\n### stormc: 1 app changed\n")
    (tmp_path / "diff.json").write_text(json.dumps({"totals": {"restarting": restarting}}))
    program = GITHUB.replace("COMMENTS", json.dumps(comments)).replace("LABELS", json.dumps(labels))
    (tmp_path / "run.js").write_text(program.replace("SCRIPT", SCRIPT))
    done = subprocess.run(["node", "run.js"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout)
    assert [name for name, _ in calls] == expected
    assert all(args["owner"] == "o" for _, args in calls)
    if expected[0] == "updateComment":
        assert calls[0][1]["comment_id"] == 5 and "issue_number" not in calls[0][1]
