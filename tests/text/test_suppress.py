"""Comments that accept a finding, by table, and through the command with its memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.finding import Finding, Mark
from stormc.load.sources import Source
from stormc.phrase import phrase
from stormc.text.suppress import suppressed
from tests.samples import spec_text

W, OTHER = "W020", "W021"


def left(text: str, *found: tuple[str, int], complete: bool = True) -> list[tuple[str, int]]:
    """What is left of findings, given as id and line of one file."""
    findings = [Finding(rule, "a.yaml", Mark(line, 1, line, 2), phrase("m")) for rule, line in found]
    source = Source("a.yaml", "a.yaml", text.encode())
    kept = suppressed(findings, [source], {"a.yaml"} if complete else (), {W, OTHER})
    return [(finding.rule, finding.mark.line) for finding in kept]


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("a: 1 # stormc: ignore[W020] why\n", [(W, 1)], []),
        ("# stormc: ignore[W020] why\na: 1\n", [(W, 2)], []),
        ("#stormc:ignore[W020] why\na: 1\n", [(W, 2)], []),
        ("a: 1\n# stormc: ignore[W020] why\n# and more\nb: 1\n", [(W, 4)], []),
        ("a: # stormc: ignore[W020] why\n  b: 1\n", [(W, 1)], []),
        ("a: 1 # stormc: ignore[ W020 , W021 ] why\n", [(W, 1), (OTHER, 1)], []),
        ("a: 1 # stormc: ignore[W020] why\nb: 1\n", [(W, 1), (W, 2)], [(W, 2)]),
        ("a: 1 # stormc: ignore[W020, W021] why\n", [(W, 1)], [("W114", 1)]),
        ("a: 1 # stormc: ignore[W999] why\n", [(W, 1)], [(W, 1), ("W114", 1)]),
        ("a: 1 # stormc: ignore[W020]\n", [(W, 1)], [(W, 1), ("E111", 1)]),
        ("a: 1 # stormc: ignore W020 why\n", [(W, 1)], [(W, 1), ("E110", 1)]),
        ("a: 1 # stormc: ignore[" + "W020," * 501 + "W020] why\n", [(W, 1)], [(W, 1), ("E110", 1)]),
        ("a: 1 # stormc: ignore[w20] why\n", [(W, 1)], [(W, 1), ("E112", 1)]),
        ("a: 1 # stormc: ignore[E036] why\n", [("E036", 1)], [("E036", 1), ("E113", 1)]),
        ('a: "x # stormc: ignore[W020] why"\n', [(W, 1)], [(W, 1)]),
        ("a: x# stormc: ignore[W020] why\n", [(W, 1)], [(W, 1)]),
        ("a: |\n  # stormc: ignore[W020] why\nb: 1\n", [(W, 3)], [(W, 3)]),
        ("a: |\n  text\n# stormc: ignore[W020] why\nb: 1\n", [(W, 4)], []),
        ("a: 'it''s # no' # stormc: ignore[W020] why\n", [(W, 1)], []),
        ("# made by stormc: see the docs\na: 1\n", [(W, 2)], [(W, 2)]),
        ("a: 1 # stormc: ignore[W020] why\r\nb: 1\r\n", [(W, 1)], []),
    ],
)
def test_each_comment_suppresses_or_reports_what_the_table_says(
    text: str, found: list[tuple[str, int]], expected: list[tuple[str, int]]
) -> None:
    assert left(text, *found) == expected


def test_a_comment_is_not_called_unused_where_not_everything_was_looked_at() -> None:
    text = "a: 1 # stormc: ignore[W020] why\n"
    assert left(text) == [("W114", 1)]
    assert left(text, complete=False) == []


def reported(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str]]:
    main([*arguments, "--format", "json"])
    return [(finding["rule"], finding["file"]) for finding in json.loads(capsys.readouterr().out)["findings"]]


def test_comments_count_in_apps_and_platform_files_and_for_remembered_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    specs = tmp_path / "specs"
    specs.mkdir()
    spec = specs / "app.yaml"
    idle = spec_text("prefill: {dataParallel: 2, tensorParallel: 4}")
    spec.write_text(idle)
    assert reported(capsys, "validate") == [("W036", "specs/app.yaml")]
    assert reported(capsys, "render") == [("W036", "specs/app.yaml")]
    accepted = idle.replace("tensorParallel: 4", "tensorParallel: 4 # stormc: ignore[W036] half the node is for tests")
    spec.write_text(accepted)
    for arguments in (["validate"], ["render"], ["render"], ["render", "--check"], ["validate", "specs/app.yaml"]):
        assert reported(capsys, *arguments) == []
    spec.write_text(accepted.replace("replicas: 2", "replicas: 0"))
    assert reported(capsys, "validate") == [("E204", "specs/app.yaml")], "not called unused where no rule has run"
    spec.write_text(accepted)
    platform = specs / "platform.yaml"
    platform.write_text(
        "apiVersion: stormc.dev/v1\nkind: Platform\n# stormc: ignore[W999] for nothing\nnamespace: there\n"
    )
    assert reported(capsys, "validate") == [("W114", "specs/platform.yaml")]
    assert reported(capsys, "validate", "specs/app.yaml") == []
    platform.write_text(
        "apiVersion: stormc.dev/v1\nkind: Platform\ndefaults:\n  prefill:\n"
        "    # stormc: ignore[W036] inherited, so it is accepted here\n    tensorParallel: 4\n"
    )
    spec.write_text(idle.replace("  tensorParallel: 4\n", ""))
    assert reported(capsys, "validate") == []


def test_comments_of_apps_that_nobody_asked_about_are_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("specs").mkdir()
    Path("specs/one.yaml").write_text(spec_text("name: one"), encoding="utf-8")
    other = spec_text("{name: other, gateway: 'off'}")
    Path("specs/other.yaml").write_text(f"{other}# stormc: ignore[W020]\n", encoding="utf-8")
    assert main(["validate", "specs/one.yaml"]) == 0
    assert main(["validate"]) == 1
