"""Files and functions fit on a few screens: 350 lines for a file, 400 for one of tests, 40 for a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(path for room in ("compiler", "proxy", "tools") for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGER = {
    "compiler/stormc/payload/launch.py": 435,  # one file by design: it runs with nothing but Python's own library
}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_fit_on_a_few_screens(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGER.get(str(path.relative_to(ROOT)), 350)
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lengths = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    assert [(function, lines) for function, lines in lengths if lines > 40] == []


def test_files_of_tests_are_not_much_longer() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in TESTS}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}
