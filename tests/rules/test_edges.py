"""The edges of rules that their examples for users leave out, and advice that helps: who follows it is rid of it."""

from __future__ import annotations

import json
import re
from itertools import product

import pytest

from stormc.facts import limits
from stormc.model.profile import Platform
from stormc.rules import load
from stormc.rules.rule import Rule, Violation
from tests.rules.judging import in_role, judge
from tests.samples import app

TWO_GROUPS = "{hardware: atlas-800i-a3, decode: {podGroupSize: 2, dataParallel: 16, npus: 8, allowPartialNode: true}}"
FOUND = {
    "privileged without escalation": (
        "E081", in_role("routing", "{spec: {containers: [{name: router, securityContext: {privileged: true}}]}}"),
    ),
    "text that is no JSON": ("E703", "decode: {engineArgs: {compilation-config: 5x}}"),
}  # fmt: skip
LEFT_ALONE = {
    "the command of another engine": ("E039", "engine: {command: [run, --kv-transfer-config, x]}"),
    "each role has a PodGroup of its own": ("W010", TWO_GROUPS),
    "one context": ("E716", "prefill: {prefillContextParallel: 1}"),
    "a level of compilation": ("E703", "decode: {engineArgs: {compilation-config: 5}}"),
    "no JSON at all": ("E703", "decode: {engineArgs: {hf-overrides: ''}}"),
}


@pytest.mark.parametrize(("rule", "spec"), FOUND.values(), ids=FOUND.keys())
def test_found(rule: str, spec: str) -> None:
    assert rule in {finding.rule for finding in judge(spec)}


@pytest.mark.parametrize(("rule", "spec"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_left_alone(rule: str, spec: str) -> None:
    assert rule not in {finding.rule for finding in judge(spec)}


def of_rule(rule: Rule, overlay: str) -> list[Violation]:
    return list(rule.check(app(overlay), Platform()))


SIZES = [
    {"podGroupSize": pods, "dataParallel": ranks, "tensorParallel": npus, "pipelineParallel": stages}
    for pods, ranks, npus, stages in product((1, 2), (1, 2, 3, 4, 6, 48), (1, 4, 8, 16), (1, 2, 4))
]


def test_every_way_out_of_too_many_npus_is_one() -> None:
    rule = load("parallelism.ranks")
    ways = 0
    for sizes in SIZES:
        for violation in of_rule(rule, f"prefill: {json.dumps(sizes)}"):
            for field, size in re.findall(r"(\w+): (\d+)", violation.hint):
                assert of_rule(rule, f"prefill: {json.dumps({**sizes, field: int(size)})}") == [], (sizes, field)
                ways += 1
    assert ways > 50


@pytest.mark.parametrize("ranks", [3, 5, 7])
def test_either_number_of_ranks_that_is_advised_divides(ranks: int) -> None:
    rule = load("parallelism.ranks")
    (violation,) = of_rule(rule, f"decode: {{podGroupSize: 2, dataParallel: {ranks}, tensorParallel: 1}}")
    advised = [int(number) for number in re.findall(r"\d+", violation.hint)]
    assert advised == [ranks - 1, ranks + 1]


@pytest.mark.parametrize(("prefill", "decode", "advised"), [(8, 6, 4), (8, 3, 2), (4, 3, 2), (16, 12, 8)])
def test_the_tensor_parallel_size_that_is_advised_is_the_largest(prefill: int, decode: int, advised: int) -> None:
    spec = "{{prefill: {{tensorParallel: {}, dataParallel: 1}}, decode: {{tensorParallel: {}, dataParallel: 1}}}}"

    def hints(size: int) -> list[str]:
        return [found.hint for found in judge(spec.format(prefill, size)) if found.rule == "E705"]

    assert [re.findall(r"\d+", hint) for hint in hints(decode)] == [[str(advised)]]
    assert hints(advised) == []


@pytest.mark.parametrize("ranks", [2, 16])
def test_the_highest_port_that_is_advised_is_the_highest(ranks: int) -> None:
    rule, sizes = load("ports.rank_ports"), f"dataParallel: {ranks}, tensorParallel: {16 // ranks}"
    (violation,) = of_rule(rule, f"prefill: {{port: {limits.PORT_MAX}, {sizes}}}")
    highest = int(violation.hint.rpartition(" ")[2])
    assert of_rule(rule, f"prefill: {{port: {highest}, {sizes}}}") == []
    assert len(of_rule(rule, f"prefill: {{port: {highest + 1}, {sizes}}}")) == 1
