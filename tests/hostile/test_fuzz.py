"""What once went wrong stays right, some inputs of `make fuzz`, the same every time, and defects that it must see."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.hostile.fuzz import Bench, inputs, seeds
from tests.hostile.targets import TARGETS


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield Bench(root)


def test_inputs_that_once_went_wrong_end_as_they_should(bench: Bench) -> None:
    kept = list(seeds())
    assert kept
    for given in kept:
        assert bench.run(given) == "", given


@pytest.mark.parametrize("number", range(len(TARGETS)), ids=[target.name for target in TARGETS])
def test_some_inputs_of_every_verb_end_as_they_should(bench: Bench, number: int) -> None:
    for given in islice(inputs(1), number, 3 * len(TARGETS), len(TARGETS)):
        assert bench.run(given) == "", given


@pytest.mark.parametrize("number", range(len(TARGETS)), ids=[target.name for target in TARGETS])
def test_every_target_gets_as_far_as_its_work_with_an_honest_input(bench: Bench, number: int) -> None:
    target, pick, codes = TARGETS[number], random.Random(1), set()
    for _ in range(8):
        assert bench.run((target, target.text(pick).encode(), target.words(pick))) == ""
        codes.add(bench.code)
    assert codes & {0, 1}


def _fails(*_: object) -> None:
    raise KeyError("x")


def _writes(*_: object) -> None:
    Path("elsewhere").write_text("x")


def _prints(*_: object) -> None:
    getattr(sys.stdout, "raw", sys.stdout).write("a ##[error]x\n")


@pytest.mark.parametrize(("defect", "seen"), [(_fails, "KeyError"), (_writes, "changed"), (_prints, "printed")])
def test_a_defect_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch, defect: object, seen: str) -> None:
    from stormc.load.sources import read_sources

    def read(*words: object) -> object:
        defect()  # type: ignore[operator]
        return read_sources(*words)  # type: ignore[arg-type]

    monkeypatch.setattr("stormc.actions.validating.read_sources", read)
    target, pick = TARGETS[0], random.Random(1)
    assert seen in bench.run((target, target.text(pick).encode(), ["validate"]))
