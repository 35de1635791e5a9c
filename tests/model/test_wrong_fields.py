"""A wrong field hides no independent mistake, and makes none up that the corrected app would not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.samples import findings

FIELDS: dict[str, Any] = {
    "replicas": 2, "podGroupSize": 1, "dataParallel": 2, "tensorParallel": 8, "npus": 16, "spBlock": 16,
    "minAvailable": 2, "engineArgs": {"max-num-seqs": 8}, "env": {"A": "b"}, "image": "vllm-ascend:v0.12.0rc1",
    "pipelineParallel": 1, "port": 9000,
}  # fmt: skip
MISTAKES: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "misspelt": lambda name, value: {name[:-1]: value},
    "with a name of its own": lambda name, value: {"zzzz": value},
    "of another type": lambda name, value: {name: [["x"]]},
    "out of range": lambda name, value: {name: -(10**9)},
}
DECODE: dict[str, tuple[dict[str, Any], str]] = {
    "ranks that do not divide": ({"podGroupSize": 2, "dataParallel": 33}, "E036"),
    "a flag of no release": ({"podGroupSize": 2, "dataParallel": 32, "engineArgs": {"max-num-seqz": 4}}, "W702"),
    "a resource without a unit": ({"podGroupSize": 2, "dataParallel": 32, "resources": {"memory": 64}}, "W087"),
}


def app(prefill: Mapping[str, Any], decode: Mapping[str, Any]) -> set[tuple[str, tuple[str | int, ...], str]]:
    overlay = {"prefill": {"replicas": None, "dataParallel": None, "tensorParallel": None, **prefill}, "decode": decode}
    return {(f.rule, f.path, f.message) for f in findings(json.dumps(overlay))}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("own", DECODE)
def test_the_other_role_is_judged_and_nothing_is_made_up(own: str, name: str, mistake: str) -> None:
    decode, expected = DECODE[own]
    wrong = {key: value for key, value in FIELDS.items() if key != name} | MISTAKES[mistake](name, FIELDS[name])
    corrected, seen = app(FIELDS, decode), app(wrong, decode)
    about_the_field = {each for each in seen if each[0].startswith("E20")}
    assert about_the_field, "the mistake itself is reported"
    assert expected in {rule for rule, _, _ in seen}
    assert seen - about_the_field <= corrected


@pytest.mark.parametrize(
    ("overlay", "rules"),
    [
        ({"foo": 1, "tp": 4, "decode": {"dataParallel": 33}}, ["E201", "E201"]),
        ({"prefill": {"affinity": {}, "dataParallel": 3}}, ["E036", "E201"]),
        ({"prefill": {"dp": 3, "tensorParallel": 8, "dataParallel": None}}, ["E036", "E201"]),
        ({"nonsense": 1, "prefill": {"dataParallel": 3}}, ["E036", "E201"]),
        ({"hardware": "atlas-900-a3", "decode": {"dataParallel": 33}}, ["E036", "E207"]),
        ({"hardware": ["atlas-800i-a2"], "nonsense": 1, "decode": {"dataParallel": 33}}, ["E036", "E201", "E203"]),
        ({"hardware": "atlas-900-a3", "prefill": {"tensorParallel": 32, "spBlock": 5}}, ["E207"]),
        ({"kvTransfer": {"conector": "MooncakeConnectorV1"}, "prefill": {"dataParallel": 3}}, ["E036", "E201"]),
    ],
)
def test_the_other_fields_are_still_judged(overlay: Mapping[str, Any], rules: list[str]) -> None:
    assert sorted(f.rule for f in findings(json.dumps(overlay)) if f.rule[0] == "E") == rules
