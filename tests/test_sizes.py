"""Files and functions of the compiler fit on a few screens."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "compiler").rglob("*.py"))
LONG_FILES = {
    "compiler/stormc/load/document.py": 475,
    "compiler/stormc/local/cluster.py": 465,
    "compiler/stormc/migrate/storm_service.py": 485,
    "compiler/stormc/payload/launch.py": 435,  # one file by design: it travels alone
    "compiler/stormc/policy/pods.py": 425,
}
LONG_FUNCTIONS = {
    ("compiler/stormc/migrate/fitting.py", "_take"): 50,
    ("compiler/stormc/migrate/storm_service.py", "propose"): 70,
    ("compiler/stormc/migrate/storm_service.py", "_hardware"): 50,
    ("compiler/stormc/migrate/storm_service.py", "_role"): 50,
    ("compiler/stormc/load/document.py", "_collection"): 45,
    ("compiler/stormc/emit/schema_words.py", "_problems"): 55,
    ("compiler/stormc/migrate/deploy_tool.py", "_settled"): 45,
    ("compiler/stormc/migrate/deploy_tool.py", "_shape"): 45,
    ("compiler/stormc/model/wording.py", "_finding"): 75,
    ("compiler/stormc/model/wording.py", "_text_finding"): 45,
    ("compiler/stormc/policy/objects.py", "overrides"): 50,
    ("compiler/stormc/repository/policies.py", "policy_findings"): 50,
    ("compiler/stormc/repository/policies.py", "wiring_findings"): 50,
    ("compiler/stormc/rules/engine/release_limits.py", "_refused"): 45,
    ("compiler/stormc/rules/scheduling/gang_size.py", "check"): 45,
    ("compiler/stormc/policy/pods.py", "placement"): 75,
    ("compiler/stormc/policy/pods.py", "programs"): 50,
    ("compiler/stormc/policy/pods.py", "secrets"): 50,
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
