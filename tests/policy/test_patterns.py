"""What is decided without compiling a pattern is what the pattern says."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stormc.policy.policy import matches
from stormc.policy.secrets import BEGINNINGS, ENDINGS, NAME, VALUE, WORDS, holds_secret, names_secret

LETTERS = "ab-\n"


@given(st.text(LETTERS + "*", max_size=6), st.text(LETTERS, max_size=8))
def test_a_star_is_any_characters(pattern: str, value: str) -> None:
    regex = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, value) == bool(re.fullmatch(regex, value, re.DOTALL))


@given(st.from_regex(VALUE))
def test_whatever_looks_like_a_token_is_looked_at(text: str) -> None:
    assert any(beginning in text for beginning in BEGINNINGS)
    assert holds_secret(text)


@given(st.from_regex(NAME, fullmatch=True))
def test_whatever_names_a_secret_is_looked_at(name: str) -> None:
    folded = name.casefold()
    assert folded.endswith(ENDINGS) or any(word in folded for word in WORDS)
    assert names_secret(name) == (len(name) < 200)
