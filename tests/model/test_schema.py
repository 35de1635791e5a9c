from __future__ import annotations

import pytest

from stormc.model import schema
from stormc.model.tables import TABLES
from stormc.model.validator import SpecValidator


@pytest.mark.parametrize("section", sorted(TABLES))
def test_every_table_is_a_valid_cerberus_schema(section: str) -> None:
    SpecValidator(TABLES[section])  # raises SchemaError; at run time the tables are taken as proven


@pytest.mark.parametrize("section", sorted(TABLES))
def test_every_field_is_described(section: str) -> None:
    for field, rules in TABLES[section].items():
        assert rules["meta"]["description"].endswith("."), field


def test_sections_are_fields_of_an_app() -> None:
    assert set(schema.SECTIONS) < set(schema.APP)
    assert all("schema" not in schema.APP[section] for section in schema.SECTIONS)
