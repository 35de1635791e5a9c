"""Every rule's own examples, run as its test."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from stormc import rules
from stormc.finding import dotted
from stormc.passes.runner import SecondWriter
from stormc.reference.pages import fields, place
from stormc.rules import all_rules, load
from stormc.rules.rule import Example, Rule, Subject
from tests.rules.judging import changed_rules, judge_example, without

ROOM = Path(rules.__file__).parent
BAD = [(rule, example) for rule in all_rules() for example in rule.bad]
ERRORS = {rule.id for rule in all_rules() if rule.id[0] == "E"}
GOOD = [(rule, example) for rule in all_rules() for example in (*rule.instead, *rule.good)]


def named(value: object) -> str:
    return value.id if isinstance(value, Rule) else ""


@pytest.mark.parametrize(("rule", "example"), BAD, ids=named)
def test_bad_examples_are_found_where_they_are_wrong_and_by_their_rule_alone(rule: Rule, example: Example) -> None:
    findings = judge_example(example)
    mine = [f for f in findings if f.rule == rule.id]
    assert mine, f"the rule is silent; found {findings}"
    assert dotted(mine[0].path) == place(example)
    assert mine[0].message and mine[0].hint
    others = [f for f in findings if f.rule != rule.id and f.rule[0] == "E"]
    assert not others, "a bad example breaks one rule only"
    with changed_rules(without(rule)), suppress(SecondWriter):
        assert not {f.rule for f in judge_example(example)} & ERRORS, "another rule reports it too"


@pytest.mark.parametrize(("rule", "example"), GOOD, ids=named)
def test_good_examples_are_left_alone(rule: Rule, example: Example) -> None:
    findings = judge_example(example)
    assert not [f for f in findings if f.rule == rule.id or f.rule[0] == "E"]


def test_every_rule_is_explained_and_proven() -> None:
    ids = [rule.id for rule in all_rules()]
    assert len(set(ids)) == len(ids)
    for rule in all_rules():
        assert rule.title.endswith(".") and rule.why.endswith("."), f"{rule.id} needs a title and a reason"
        assert rule.bad and (rule.instead or rule.good) and rule.source
        assert rule.id[0] in "EWI" and len(rule.id) == 4 and rule.id[1:].isdigit()


def test_every_file_of_an_area_is_a_rule_that_is_listed_once() -> None:
    files = {f"{path.parent.name}.{path.stem}" for path in ROOM.glob("*/*.py") if path.stem != "__init__"}
    assert sorted(rules.RULES) == sorted(files)


LISTS = [
    (rules.OF_APPS, Subject.APP, False), (rules.OF_OVERRIDDEN_APPS, Subject.APP, True),
    (rules.OF_MANIFESTS, Subject.MANIFESTS, False), (rules.OF_OVERRIDDEN_MANIFESTS, Subject.MANIFESTS, True),
    (rules.OF_REPOSITORIES, Subject.REPOSITORY, False),
]  # fmt: skip


@pytest.mark.parametrize(("names", "subject", "overridden"), LISTS)
def test_a_rule_is_listed_with_those_that_look_at_the_same(
    names: tuple[str, ...], subject: Subject, overridden: bool
) -> None:  # fmt: skip
    for rule in map(load, names):
        assert (rule.subject, rule.only_when_overridden) == (subject, overridden), rule.id


def test_what_is_only_found_in_overridden_apps_is_never_shown_without() -> None:
    for rule in all_rules():
        if rule.only_when_overridden:
            assert all("overrides" in yaml.safe_load(fields(example)) for example in rule.bad), rule.id


WITHOUT = [row for row in (*BAD, *GOOD) if "overrides" not in (yaml.safe_load(fields(row[1])) or {})]


@pytest.mark.parametrize(("rule", "example"), WITHOUT, ids=named)
def test_what_needs_overrides_finds_nothing_without(rule: Rule, example: Example) -> None:
    needing = {rule.id for rule in all_rules() if rule.only_when_overridden}

    def with_all(applied: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(rule for rule in all_rules() if rule.subject is applied[0].subject)

    with changed_rules(with_all):
        assert not {f.rule for f in judge_example(example)} & needing
