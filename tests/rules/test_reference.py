"""docs/rules.md and docs/rules-coverage.md are true, and every id that stormc can print is explained."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.reference.ids import CHECKS, ids
from stormc.reference.pages import document
from stormc.rules import all_rules
from tools.rule_reference import DOCUMENTS

ROOT = Path(__file__).parent.parent.parent
COVERAGE = (ROOT / "docs/rules-coverage.md").read_text(encoding="utf-8")
ID = re.compile(r"\b[EWI]\d{3}\b")


def rows() -> dict[str, set[str]]:
    """The ids of every row of the coverage tables, by fact."""
    cells = [line.strip("| \n").split("|") for line in COVERAGE.splitlines() if line.startswith("| ")]
    return {row[0].strip(): set(ID.findall(row[1])) for row in cells if row[0].strip() != "Fact"}


@pytest.mark.parametrize(("language", "page"), DOCUMENTS.items())
def test_the_reference_is_what_the_rules_say(language: str, page: Path) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == document(language), "run: make golden"


def test_every_rule_covers_a_fact_and_every_named_id_exists() -> None:
    named = set().union(*rows().values())
    assert named <= set(ids())
    assert {rule.id for rule in all_rules()} <= named


def test_every_fact_has_a_rule_or_a_reason() -> None:
    for line in COVERAGE.splitlines():
        if line.startswith("| R"):
            _, covered, reason = (cell.strip() for cell in line.strip("|").split("|"))
            assert covered or reason, line
    numbers = [int(fact[1:3]) for fact in rows() if re.match(r"R\d\d ", fact)]
    assert numbers == list(range(1, 46))


def test_every_id_is_declared_once() -> None:
    assert len(ids()) == len(set(ids())) == len(CHECKS) + len(all_rules())
    for check in CHECKS:
        assert re.fullmatch(r"[EWI]\d{3}", check.id) and check.title.endswith(".") and check.why.endswith("."), check.id


def test_every_declared_check_is_collected() -> None:
    declared = {
        node.args[0].value
        for path in sorted((ROOT / "compiler").rglob("*.py"))
        for node in calls_of("Check", path)
        if isinstance(node.args[0], ast.Constant) and is_id(node.args[0])
    }
    assert declared == {check.id for check in CHECKS}


def test_no_finding_has_an_id_that_is_not_declared() -> None:
    for path in sorted((ROOT / "compiler").rglob("*.py")):
        for name in ("Finding", "_at", "Note", "Refusal"):
            assert not [n.lineno for n in calls_of(name, path) if any(is_id(argument) for argument in n.args)], path


def calls_of(name: str, path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def is_id(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.fullmatch(ID, node.value))


@pytest.mark.parametrize("id_", ids())
def test_every_id_can_be_asked_for(id_: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", id_.lower()]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{id_} (") and len(printed.splitlines()) >= 3


def test_the_table_has_a_line_per_id(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    assert [line[:4] for line in capsys.readouterr().out.splitlines()] == ids()


def test_an_unknown_id_is_refused_with_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "E0366"]) == 2
    assert "did you mean E036?" in capsys.readouterr().err
