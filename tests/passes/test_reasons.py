"""A quick look at the reasons of all passes; tests/compile/test_provenance.py looks thoroughly."""

from __future__ import annotations

from tests.compile.oracle import Outcomes, holds_itself, names_all, spec_of, two_variants
from tests.compile.spec_fields import FIELDS


def test_what_a_field_changes_names_it() -> None:
    spec, outcomes = spec_of({}), Outcomes()
    holds_itself(spec, outcomes)
    names_all(spec, outcomes, list(FIELDS), two_variants)
