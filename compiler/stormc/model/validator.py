"""Cerberus, set up for the tables of the spec, with what keeps it from proving them again for every document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from cerberus import TypeDefinition, Validator, errors
from cerberus.schema import DefinitionSchema

from stormc.model import forms
from stormc.model.accept import distributed
from stormc.model.tables import TABLES
from stormc.phrase import both, phrase


class SpecValidator(Validator):  # type: ignore[misc]
    """Cerberus with whole-string patterns (its own `$` lets a trailing newline through) and computed defaults.

    Its own integers include true and false.
    """

    types_mapping: ClassVar[Mapping[str, Any]] = {
        **Validator.types_mapping,
        "integer": TypeDefinition("integer", (int,), (bool,)),
    }

    def _error(self, *args: Any) -> None:
        """Cerberus sorts all errors, and those of two trees that nobody here reads, for each new one."""
        if len(args) == 1:
            self._errors.extend(args[0])
        else:
            super()._error(*args)

    def _validate_regex(self, pattern: str, field: str, value: object) -> None:
        """{'type': 'string'}"""
        if isinstance(value, str) and not _pattern(pattern).fullmatch(value):
            self._error(field, errors.REGEX_MISMATCH)

    def _validate_one_of(self, names: list[str], field: str, value: object) -> None:
        """{'type': 'list'}"""
        if isinstance(value, dict):
            present = [name for name in names if value.get(name) is not None]
            unknown = value.keys() - self.schema[field].get("schema", value).keys()
            if len(present) != 1 and (present or not unknown):  # an unknown key was most likely meant to be one of them
                needed = phrase("needs one of {names}", names=", ".join(names))
                self._error(field, phrase("has {names}", names=both(present)) if present else needed)

    def _normalize_default_setter_distributed_dp(self, document: Mapping[str, Any]) -> bool:
        return distributed(document)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _ProvenSchema(DefinitionSchema):  # type: ignore[misc]
    """One of our tables, which a test proves to be a valid schema.

    Cerberus proves a schema when a validator is made and again for the copy it takes of it per document; the first
    costs as much as starting Python three times, the second half of a render.
    """

    def __init__(self, validator: Validator, schema: forms.Schema) -> None:
        self.validator = validator
        self.schema = schema

    def copy(self) -> dict[str, Any]:
        return dict(self.schema)


@cache
def validator(section: str) -> SpecValidator:
    """The validator of a section; made once, since that takes longer than a spec."""
    new = SpecValidator()
    new.schema = _ProvenSchema(new, TABLES[section])
    return new
