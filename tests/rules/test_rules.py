"""Every rule's own examples, run as its test."""

from __future__ import annotations

from contextlib import suppress
from unittest import mock

import pytest

from stormc import rules
from stormc.finding import dotted
from stormc.passes.runner import SecondWriter
from stormc.rules import RULES
from stormc.rules.rule import Example, Rule, Sees
from tests.rules.judged import judge

BAD = [(rule, example) for rule in RULES for example in rule.bad]
ERRORS = {rule.id for rule in RULES if rule.id[0] == "E"}
GOOD = [(rule, example) for rule in RULES for example in rule.good]


def named(value: object) -> str:
    return value.id if isinstance(value, Rule) else value.spec[:60] if isinstance(value, Example) else str(value)


@pytest.mark.parametrize(("rule", "example"), BAD, ids=named)
def test_bad_examples_are_found_where_they_are_wrong_and_by_their_rule_alone(rule: Rule, example: Example) -> None:
    found = judge(example)
    mine = [f for f in found if f.rule == rule.id]
    assert mine, f"the rule is silent; found {found}"
    assert dotted(mine[0].path) == example.at
    assert mine[0].message and mine[0].hint
    others = [f for f in found if f.rule != rule.id and f.rule[0] == "E"]
    assert not others, "a bad example breaks one rule only"
    with mock.patch.object(rules, "RULES", tuple(r for r in RULES if r.id != rule.id)), suppress(SecondWriter):
        assert not {f.rule for f in judge(example)} & ERRORS, "another rule reports it too"


@pytest.mark.parametrize(("rule", "example"), GOOD, ids=named)
def test_good_examples_are_left_alone(rule: Rule, example: Example) -> None:
    found = judge(example)
    assert not [f for f in found if f.rule == rule.id or f.rule[0] == "E"]


def test_every_rule_is_explained_and_proven() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    for rule in RULES:
        assert rule.title.endswith(".") and rule.why.endswith("."), f"{rule.id} needs a title and a reason"
        assert rule.bad and rule.good and rule.source
        assert rule.id[0] in "EWI" and len(rule.id) == 4 and rule.id[1:].isdigit()
        assert isinstance(rule.sees, Sees)
