"""docs/security.md: its policy is valid, its tests exist, its ids are reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stormc.reference.ids import ids
from tests.samples import repository

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")


def test_the_policy_is_valid() -> None:
    (policy,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    assert repository({"platform.yaml": policy}).findings == ()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))))
def test_every_row_names_a_test(path: str) -> None:
    assert (ROOT / path).is_file()


def test_every_id_of_the_page_is_declared() -> None:
    assert set(re.findall(r"\b[EW]\d{3}\b", TEXT)) <= set(ids())
