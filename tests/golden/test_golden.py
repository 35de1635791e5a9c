from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import CASES, names, run_case


@pytest.mark.parametrize("name", names())
def test_a_case_renders_as_expected(name: str, tmp_path: Path) -> None:
    expected = {
        str(path.relative_to(CASES / name / "expected")): path.read_text(encoding="utf-8")
        for path in (CASES / name / "expected").rglob("*")
        if path.is_file()
    }
    assert expected, "run: make golden"
    assert run_case(name, tmp_path) == expected
