"""A few inputs of `make fuzz`, the same every time, and a defect that it must see."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.hostile.fuzz import TARGETS, inputs, run


def test_some_inputs_of_every_verb_end_as_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target, text in islice(inputs(1, 3600), 5 * len(TARGETS)):
        assert run(target, text, tmp_path) == "", text


def test_an_internal_error_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stormc.actions.validating.read_sources", fails)
    assert "KeyError" in run(TARGETS[0], "a: b\n", tmp_path)
