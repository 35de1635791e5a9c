"""Quantities: the canonical text means the same as what people wrote, rounded up to a thousandth as Kubernetes does."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormc.model.quantity import canonical, exceeds

UNITS = {
    "": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9),
    "Ki": Fraction(1024), "Mi": Fraction(1024**2), "Gi": Fraction(1024**3), "Ei": Fraction(1024**6),
    "e3": Fraction(1000), "E-2": Fraction(1, 100), "e+4": Fraction(10**4),
}  # fmt: skip


@st.composite
def quantities(draw: st.DrawFn) -> tuple[str, Fraction]:
    """A text and what it means, computed without the code under test."""
    whole, fraction = draw(st.integers(0, 10**12)), draw(st.sampled_from(["", "0", "5", "25", "001", "0001", "125"]))
    unit = draw(st.sampled_from(sorted(UNITS)))
    number = Fraction(whole) + (Fraction(int(fraction), 10 ** len(fraction)) if fraction else 0)
    point = draw(st.booleans()) or bool(fraction)
    return f"{whole}{'.' if point else ''}{fraction}{unit}", number * UNITS[unit]


def thousandths(text: str) -> int:
    """What a canonical text means, in thousandths."""
    names = {**UNITS, "e-3": Fraction(1, 1000), **{f"e{n}": Fraction(10**n) for n in range(3, 19, 3)}}
    names |= {unit: Fraction(10**n) for unit, n in (("T", 12), ("P", 15), ("E", 18))}
    names |= {"Ti": Fraction(1024**4), "Pi": Fraction(1024**5)}
    digits = next(n for n in range(len(text), 0, -1) if text[:n].isdigit())
    return ceil(int(text[:digits]) * names[text[digits:]] * 1000)


@given(quantities())
def test_the_canonical_text_means_the_same_and_is_its_own(quantity: tuple[str, Fraction]) -> None:
    text, value = quantity
    assert thousandths(canonical(text)) == ceil(value * 1000)
    assert canonical(canonical(text)) == canonical(text)


@given(quantities(), quantities())
def test_the_larger_one_exceeds(one: tuple[str, Fraction], other: tuple[str, Fraction]) -> None:
    assert exceeds(one[0], other[0]) == (ceil(one[1] * 1000) > ceil(other[1] * 1000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), (8, "8"), ("1000", "1k"), ("1.5Gi", "1536Mi"), ("0", "0"),
        ("0.0001", "1m"), ("1e3", "1e3"), ("100e1", "1e3"), ("0.1Ki", "102400m"), ("1000Ki", "1000Ki"),
    ],
)  # fmt: skip
def test_a_quantity_has_one_canonical_spelling(text: str | int, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["", "x", "1.5.2", "1 Gi", "-1", "1gi"])
def test_anything_but_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        canonical(text)
