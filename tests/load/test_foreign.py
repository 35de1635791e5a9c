"""YAML that other tools wrote costs no more than it is long: long numbers, merge keys and aliases that multiply."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stormc.failure import Failure
from stormc.load.crd import load_crd
from stormc.load.foreign import ForeignLoader
from stormc.load.resource_list import read_resource_list


def levels(form: str) -> str:
    """Nine levels, each of which repeats the one before ten times."""
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {form % ', '.join([f'*a{n - 1}'] * 10)}" for n in range(1, 10)]
    return "kind: ResourceList\nitems: []\n" + "\n".join(lines) + "\n"


BOMBS = {
    "a number of sixties": "kind: ResourceList\nx: 1" + ":1" * 500_000 + "\n",
    "merge keys": levels("{<<: [%s]}"),
    "aliases": levels("[%s]"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_not_built(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "crd.yaml").write_text(BOMBS[bomb])
    with pytest.raises(Failure):
        load_crd(tmp_path / "crd.yaml")
    if bomb == "aliases":
        with pytest.raises(Failure):
            read_resource_list(BOMBS[bomb].encode())
    else:
        assert read_resource_list(BOMBS[bomb].encode())["kind"] == "ResourceList"


def test_short_values_are_read_as_pyyaml_reads_them() -> None:
    text = "a: &a {x: 1:30, y: 0x10}\nb: {<<: *a, z: -12}\nc: [*a, *a]\n"
    assert yaml.load(text, Loader=ForeignLoader) == yaml.safe_load(text)
