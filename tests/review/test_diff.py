"""`stormc diff` on real Git histories: what changed, what it does, and what there is to compare with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stormc.actions import render
from stormc.actions.comparing import diff, diff_of_compilers
from stormc.failure import Failure
from stormc.history.branching import MAIN_BRANCHES
from stormc.review import diff_report
from stormc.review.diff import AppChange, Kind
from stormc.review.effect import What
from tests.review.edits import (
    CASES,
    REPORTS,
    SHARED,
    commit,
    edit,
    git,
    move,
    platform,
    report_of,
    several,
    three_apps,
    write,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three apps on main."""
    three_apps(tmp_path)
    return tmp_path


def seen(changes: list[AppChange], root: Path) -> list[tuple[str, Kind, What]]:
    return [(c.label.replace(f"{root}/", ""), c.kind, c.effect.worst) for c in changes]


@pytest.mark.parametrize("case", CASES)
def test_each_edit_has_the_recorded_report(root: Path, case: str) -> None:
    assert report_of(case, root) == (REPORTS / f"{case}.txt").read_text(encoding="utf-8")


def test_every_recorded_report_belongs_to_an_edit() -> None:
    assert sorted(path.stem for path in REPORTS.iterdir()) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_change_of_the_work_tree_and_of_a_branch(root: Path, case: str) -> None:
    change, expected = CASES[case]
    change(root)
    assert seen(diff(root / "specs"), root) == expected
    git(root, "checkout", "-qb", "topic")
    git(root, "add", "-A")
    git(root, "commit", "-qm", case, "--allow-empty")
    assert seen(diff(root / "specs", "main", "topic"), root) == expected
    assert seen(diff(root / "specs", None, "HEAD"), root) == expected


def test_the_base_is_where_the_branch_left(root: Path) -> None:
    git(root, "checkout", "-qb", "topic")
    edit("own.yaml", "decode: {replicas: 2}")(root)
    commit(root)
    git(root, "checkout", "-q", "main")
    edit("other.yaml", "image: 'x:1'")(root)
    commit(root)
    git(root, "checkout", "-q", "topic")
    assert [c.label for c in diff(root / "specs")] == ["inference/own"]
    git(root, "checkout", "-q", "--detach")
    assert [c.label for c in diff(root / "specs")] == ["inference/own"]


def test_names_limit_the_apps(root: Path) -> None:
    several(edit("own.yaml", "image: 'x:1'"), edit("other.yaml", "image: 'x:1'"))(root)
    for name in ("own", "inference/own", f"{root}/specs/own.yaml"):
        assert [c.label for c in diff(root / "specs", apps=[name])] == ["inference/own"]


def test_an_app_that_does_not_exist_is_no_empty_change(root: Path) -> None:
    edit("own.yaml", "image: 'x:1'")(root)
    assert diff(root / "specs", apps=["inference/other"]) == []
    with pytest.raises(Failure, match="no app owm; known: other, own, shared"):
        diff(root / "specs", apps=["owm"])


def test_a_shallow_clone_of_one_branch_is_not_compared_with_itself(root: Path, tmp_path: Path) -> None:
    edit("own.yaml", "image: 'x:1'")(root)
    git(root, "checkout", "-qb", "topic")
    commit(root)
    git(tmp_path, "clone", "-q", "--depth=1", "--branch", "topic", root.as_uri(), "shallow")
    with pytest.raises(Failure, match="no base to compare with"):
        diff(tmp_path / "shallow/specs")
    edit("own.yaml", "image: 'x:2'")(tmp_path / "shallow")
    assert [c.label for c in diff(tmp_path / "shallow/specs")] == ["inference/own"]


def test_a_shallow_clone_has_no_base(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    edit("own.yaml", "image: 'x:1'")(root)
    git(root, "checkout", "-qb", "topic")
    commit(root)
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "init", "-q", "-b", "unrelated")
    git(shallow, "fetch", "-q", "--depth=1", root.as_uri(), "refs/heads/topic")
    git(shallow, "checkout", "-q", "FETCH_HEAD")
    for command in (["diff"], ["validate", "--changed"]):
        done = subprocess.run(
            [sys.executable, "-m", "stormc", *command], cwd=shallow, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "no base to compare with" in done.stderr
    git(shallow, "fetch", "-q", "--depth=1", root.as_uri(), "main:refs/remotes/origin/main")
    with pytest.raises(Failure, match="no base to compare with"):
        diff(shallow / "specs", None, None, (), ("origin/main",))
    assert [c.label for c in diff(shallow / "specs", "origin/main", None, (), ())] == ["inference/own"]


@pytest.mark.parametrize(("base", "head"), [("nothing", None), ("main", "nothing"), ("--help", None)])
def test_a_name_of_no_commit_is_a_failure(root: Path, base: str, head: str | None) -> None:
    with pytest.raises(Failure, match="names no commit"):
        diff(root / "specs", base, head)


def test_before_the_first_commit_every_app_is_new(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, "specs/a.yaml", "name: a")
    assert seen(diff(tmp_path / "specs"), tmp_path) == [("inference/a", Kind.CREATED, What.CREATED)]


def test_every_format_reports_every_change(root: Path) -> None:
    several(edit("shared.yaml", f"{SHARED[:-1]}, replicas: 2}}"), edit("own.yaml", "name: own-v2"))(root)
    changes = diff(root / "specs")
    lines = list(diff_report.text(changes))
    assert "  decode.replicas 2 (not set before)" in lines
    assert any("gang size 3 → 4" in line for line in lines)
    assert lines[-1] == "2 apps changed; 1 restarts NPU pods, 1 deletes NPU pods (112 NPUs)"
    document = json.loads(diff_report.as_json(changes))
    assert document["totals"] == {
        "apps": 2,
        "restarting": 1,
        "deleted": 1,
        "orphaned": 0,
        "stuck": 0,
        "unknown": 0,
        "npus": 112,
    }
    (shared,) = [app for app in document["apps"] if app["app"] == "inference/shared"]
    assert shared["keeps"] == {"roles": ["prefill", "decode"], "minAvailable": 3}
    assert shared["roles"][0]["pods"]["recreated"] == 2


def test_a_side_that_cannot_be_read_has_no_effect_and_no_fields(root: Path) -> None:
    (root / "specs/own.yaml").write_text("a: [")
    (change,) = changes = diff(root / "specs")
    assert (change.fields, change.files) == ((), ())
    assert list(diff_report.text(changes))[-2:] == ["  effect unknown", "1 app changed; 1 with errors, effect unknown"]
    (app,) = json.loads(diff_report.as_json(changes))["apps"]
    assert (app["effect"], app["files"]) == ("unknown", [])


ARGOCD = "gitops: {argocd: {repoURL: 'https://git.example.com/x.git', project: llm}}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (move("own.yaml", "eu/own.yaml"), "Application own goes and keeps the objects, eu-own takes them over"),
        (lambda root: (root / "specs/own.yaml").unlink(), "Argo CD removes Application own and keeps its objects"),
        (edit("own.yaml", "namespace: eu"), "Argo CD holds every sync of Application own"),
        (edit("own.yaml", "image: 'x:1'"), ""),
    ],
)
def test_what_the_engine_does_with_objects_that_leave(root: Path, change: Callable[[Path], object], said: str) -> None:
    platform(ARGOCD)(root)
    commit(root)
    change(root)
    (told,) = changes = diff(root / "specs")
    assert bool(told.engine) == bool(said)
    assert said in "\n".join(told.engine)
    assert all(line.strip() in diff_report.as_json(changes).replace('\\"', '"') for line in told.engine)


def test_measured_minutes_are_counted_instead_of_the_limit(root: Path) -> None:
    edit("own.yaml", "engine: {loadMinutes: 12}\nprefill: {replicas: 2, labels: {a: b}}")(root)
    (change,) = changes = diff(root / "specs")
    (prefill,) = [role for role in change.effect.roles if role.role == "prefill"]
    assert (prefill.minutes, prefill.measured, prefill.recreated) == (24, True, 2)
    assert any("about 24 min" in line for line in diff_report.text(changes))
    assert "| 24 |" in diff_report.markdown(changes)


def test_a_comment_never_outgrows_its_limit(root: Path) -> None:
    several(*(edit(f"{name}.yaml", "image: 'x:1'") for name in ("own", "shared", "other")))(root)
    changes = diff(root / "specs")
    whole = diff_report.markdown(changes)
    assert whole.startswith(diff_report.MARKER) and whole.count("<details>") == whole.count("</details>") == 3
    for limit in range(400, len(whole) + 100, 300):
        part = diff_report.markdown(changes, limit=limit)
        assert len(part) <= limit
        assert part.count("<details>") == part.count("</details>")
        assert (part == whole) == ("more; run" not in part)


def test_text_of_a_branch_does_not_leave_its_block(root: Path) -> None:
    edit("own.yaml", 'prefill: {env: {X: "```\\n</details><script>"}}')(root)
    shown = diff_report.markdown(diff(root / "specs"))
    fence = next(line for line in shown.splitlines() if line.startswith("````"))
    assert shown.count(f"\n{fence}") >= 2


def test_the_example_in_the_documentation_is_real(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = "name: chat\nmodel: {name: chat}\ndecode: {podGroupSize: 1, dataParallel: 16, replicas: %d}"
    write(root, "specs/prod/chat.yaml", chat % 1)
    commit(root)
    write(root, "specs/prod/chat.yaml", chat % 3)
    monkeypatch.chdir(root)
    page = (Path(__file__).parents[2] / "docs/review.md").read_text(encoding="utf-8")
    documented = page.partition("    $ stormc diff\n")[2].partition("\n\n")[0].splitlines()
    seen = list(diff_report.text(diff(Path("specs"))))
    assert [line.removeprefix("    ") for line in documented] == seen


def test_another_compiler_is_compared_by_what_it_rendered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    render(Path("specs"), Path("rendered"))
    commit(root)
    assert diff_of_compilers(Path("specs"), Path("rendered"), "HEAD", MAIN_BRANCHES) == []
    (path,) = Path("rendered/own").glob("stormservice-*.yaml")
    path.write_text(path.read_text().replace("maxUnavailable: 1", "maxUnavailable: 2"))
    (path,) = Path("rendered/shared").glob("stormservice-*.yaml")
    path.write_text(path.read_text().replace("schedulerName: volcano", "schedulerName: older"))
    commit(root)
    seen_now = seen(diff_of_compilers(Path("specs"), Path("rendered"), "HEAD", MAIN_BRANCHES), root)
    assert seen_now == [
        ("inference/shared", Kind.CHANGED, What.RECREATED), ("inference/own", Kind.CHANGED, What.NOTHING),
    ]  # fmt: skip


def test_another_first_line_is_no_change_of_an_app(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stormc 0.1 wrote there named a command that other repositories do not have."""
    monkeypatch.chdir(root)
    render(Path("specs"), Path("rendered"))
    for path in (root / "rendered").rglob("*.yaml"):
        path.write_text(path.read_text().replace("run: stormc render\n", "run: make render\n", 1))
    commit(root)
    assert diff_of_compilers(Path("specs"), Path("rendered"), "HEAD", ()) == []
