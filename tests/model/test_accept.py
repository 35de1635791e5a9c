"""What is accepted without Cerberus is what Cerberus accepts, with the same normal form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc.model import schema
from stormc.model.accept import KEYWORDS, SETTERS, NotAccepted, acceptor
from stormc.model.tables import TABLES
from stormc.model.validator import validator
from tests.strategies import specs

ROOT = Path(__file__).parent.parent.parent
FILES = [*(ROOT / "specs").rglob("*.yaml"), *(ROOT / "tests").rglob("*.yaml"),
         *(ROOT / "compiler/stormc/facts/hardware").glob("*.yaml")]  # fmt: skip
ACCEPT = {section: acceptor(table) for section, table in TABLES.items()}


def sections(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts of a document that are checked one by one."""
    kind = document.get("kind")
    if kind == "App":
        yield "app", document
        yield from ((name, document.get(name) or {}) for name in schema.SECTIONS)
        yield from (("override", override) for override in document.get("overrides") or ())
    elif kind in ("Platform", "Profile"):
        yield kind.lower(), document


def normal_form(section: str, value: Any) -> Any:
    """The normal form without Cerberus, or None."""
    try:
        return ACCEPT[section](value)
    except NotAccepted:
        return None


def agree(section: str, value: Any) -> bool:
    """Whether the section is accepted; then Cerberus must find the same, in the same order."""
    accepted = normal_form(section, value)
    if accepted is not None:
        judge = validator(section)
        assert judge.validate(value), (section, value, judge.errors)
        assert repr(accepted) == repr(judge.document)
    return accepted is not None


def documents() -> Iterator[Mapping[str, Any]]:
    for path in FILES:
        try:
            parsed = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, ValueError):
            continue
        yield from (document for document in parsed if isinstance(document, dict))


def test_every_valid_section_of_the_repository_is_accepted() -> None:
    parts = [part for document in documents() for part in sections(document) if isinstance(part[1], dict)]
    valid = [part for part in parts if validator(part[0]).validate(part[1])]
    assert len(valid) > 100
    assert [part for part in valid if not agree(*part)] == []


VALUES = st.sampled_from([
    None, True, False, 0, 1, -1, 3, 70000, 1.0, 1.5, "", "1", "a", "A b", "x" * 300, "/a/../b", "/mnt/a", "on", "é",
    "prod\n", [], ["a"], [1], {}, {"a": "b"}, {"a": None}, {"cpu": 1, "memory": "1Gi"}, {"hostPath": "/a"},
    {"secretKeyRef": {"name": "s", "key": "k"}}, {"hostPath": "/a", "persistentVolumeClaim": "c"},
])  # fmt: skip


@settings(max_examples=200)
@given(st.data(), specs())
def test_a_mutant_is_accepted_only_if_cerberus_accepts_it(
    data: st.DataObject, case: tuple[dict[str, Any], str]
) -> None:
    section, value = data.draw(st.sampled_from(list(sections(case[0]))))
    mutant = dict(value)
    for _ in range(data.draw(st.integers(1, 3))):
        field = data.draw(st.sampled_from([*TABLES[section], "prot"]))
        if data.draw(st.booleans()) and field in mutant:
            del mutant[field]
        else:
            mutant[field] = data.draw(VALUES)
    agree(section, mutant)


@settings(max_examples=200)
@given(st.data())
def test_every_field_alone_is_accepted_only_if_cerberus_accepts_it(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(sorted(TABLES)))
    table = TABLES[section]
    field = data.draw(st.sampled_from(sorted(table)))
    agree(section, {field: data.draw(VALUES)})


@pytest.mark.parametrize("section", sorted(TABLES))
def test_every_keyword_of_the_tables_is_known(section: str) -> None:
    def keywords(rules: Mapping[str, Any]) -> Iterator[str]:
        yield from rules
        inner = rules.get("schema", {})
        parts = [inner] if isinstance(inner.get("type"), (str, list)) else list(inner.values())
        for part in (*parts, *(rules[name] for name in ("keysrules", "valuesrules") if name in rules)):
            yield from keywords(part)

    used_keywords = {word for rules in TABLES[section].values() for word in keywords(rules)}
    assert used_keywords <= KEYWORDS
    assert {r["default_setter"] for r in TABLES[section].values() if "default_setter" in r} <= SETTERS.keys()
