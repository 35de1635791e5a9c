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
    used = {step["uses"] for step in [*STEPS, *E2E_STEPS, *E2E["jobs"]["scan"]["steps"]] if "uses" in step}
    assert used and all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40}", action) for action in used)
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    kept = [step["with"]["persist-credentials"] for step in checkouts]
    assert kept == ["false"] * len(JOBS)  # the comment needs no file of the repository, specs-by-base two checkouts


def test_the_stormc_commands_are_valid() -> None:
    steps = [step for name, job in JOBS.items() if name != "specs-by-base" for step in job["steps"]]
    lines = [step["run"].split(" > ")[0] for step in steps if "stormc" in step.get("run", "")]
    options = [parser(words[1]).parse_args(words[1:]) for words in map(shlex.split, lines)]
    assert [(o.verb, getattr(o, "check", None), getattr(o, "format", None)) for o in options] == [
        ("validate", None, "github"), ("render", True, "text"), ("fmt", True, "text"), ("validate", None, "sarif"),
        ("diff", None, "markdown"), ("diff", None, "json"),
    ]  # fmt: skip


BASE_STEPS = {step.get("name"): step for step in JOBS["specs-by-base"]["steps"]}


@pytest.mark.parametrize(
    ("edited", "judged"),
    [("", True), ("specs/a.yaml", True), ("rendered/a.yaml", True), ("compiler/a.py", False), ("Makefile", False),
     (".github/new.yaml", False)],
)  # fmt: skip
def test_the_target_branch_s_compiler_judges_what_a_pull_request_renders(
    tmp_path: Path, edited: str, judged: bool
) -> None:
    """The step of the workflow, run by the shell that runs it there, between two checkouts."""
    for side in ("base", "head"):
        for path in ("compiler/a.py", "proxy/a.py", "tools/a.py", "Makefile", ".ci/run", ".github/a", "specs/a.yaml"):
            (tmp_path / side / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / path).write_text("as it was")
    program = tmp_path / "base/.venv/bin/stormc"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho judged $@ in $PWD\n")
    program.chmod(0o755)
    if edited:
        (tmp_path / "head" / edited).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "head" / edited).write_text("edited")
    step = BASE_STEPS["Compare rendered/ with the specs, unless the pull request changes the compiler"]
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=tmp_path / step["working-directory"], capture_output=True, text=True, check=True)
    assert (f"judged render --check in {tmp_path}/head" in done.stdout) is judged
    assert ("::notice::" in done.stdout) is not judged


def test_the_job_to_require_runs_nothing_of_the_pull_request() -> None:
    refs = {
        s["with"]["path"]: s["with"].get("ref")
        for s in JOBS["specs-by-base"]["steps"]
        if "checkout@" in s.get("uses", "")
    }
    assert refs == {"base": "${{ github.event.pull_request.base.sha }}", "head": None}
    makes = [step for step in JOBS["specs-by-base"]["steps"] if step.get("run", "").startswith("make")]
    assert [step["working-directory"] for step in makes] == ["base"]
    runs = [step["run"] for step in JOBS["specs-by-base"]["steps"] if "stormc" in step.get("run", "")]
    assert runs and all(run.count("stormc ") == run.count("../base/.venv/bin/stormc ") for run in runs)


def test_the_real_programs_are_tried_every_week_by_a_job_that_may_write_nothing() -> None:
    assert E2E["permissions"] == {} and all(j["permissions"] == {"contents": "read"} for j in E2E["jobs"].values())
    assert [step["run"] for step in E2E["jobs"]["scan"]["steps"] if "run" in step] == ["make scan"]
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
