"""Every rule's own examples, run as its test."""

from __future__ import annotations

import pytest

from compiler.finding import dotted
from compiler.rules import RULES
from compiler.rules.rule import Example, Rule
from tests.samples import findings

BAD = [(rule, example) for rule in RULES for example in rule.bad]
GOOD = [(rule, example) for rule in RULES for example in rule.good]


def named(value: object) -> str:
    return value.id if isinstance(value, Rule) else value.spec if isinstance(value, Example) else str(value)


@pytest.mark.parametrize(("rule", "example"), BAD, ids=named)
def test_bad_examples_are_found_where_they_are_wrong(rule: Rule, example: Example) -> None:
    found = [f for f in findings(example.spec, example.platform) if f.rule == rule.id]
    assert found, "the rule is silent"
    assert dotted(found[0].path) == example.at
    assert found[0].message
    others = [f for f in findings(example.spec, example.platform) if f.rule != rule.id and f.rule[0] == "E"]
    assert not others, "a bad example breaks one rule only"


@pytest.mark.parametrize(("rule", "example"), GOOD, ids=named)
def test_good_examples_are_left_alone(rule: Rule, example: Example) -> None:
    assert not [f for f in findings(example.spec, example.platform) if f.rule == rule.id]


def test_every_rule_is_explained_and_proven() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    for rule in RULES:
        text = rule.check.__doc__ or ""
        assert len(text.strip().split("\n")) >= 3, f"{rule.id} needs a title and a reason"
        assert rule.bad and rule.good and rule.source
        assert rule.id[0] in "EWI" and rule.id[1:].isdigit()
