"""Files and functions of the compiler fit on a few screens."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "compiler").rglob("*.py"))
LONG_FILES = {
    "compiler/stormc/payload/launch.py": 435,  # one file by design: it travels alone
    "compiler/stormc/policy/pods.py": 380,
}
LONG_FUNCTIONS = {
    ("compiler/stormc/policy/objects.py", "overrides"): 45,
    ("compiler/stormc/policy/pods.py", "placement"): 60,
}
"""What is still longer than 350 and 40 lines; these only shrink."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "compiler").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_and_functions_fit_on_a_few_screens(path: Path) -> None:
    name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONG_FILES.get(name, 350)
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {f: lines for f, lines in lengths.items() if lines > LONG_FUNCTIONS.get((name, f), 40)} == {}
