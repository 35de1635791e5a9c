"""Kubernetes quantities in the one spelling that Go's resource.Quantity writes back."""

from __future__ import annotations

import re
from functools import lru_cache

PATTERN = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[mkMGTPE]|[eE][-+]?[0-9]{1,2})?"

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def exceeds(one: str | int, other: str | int) -> bool:
    """Whether a quantity is the larger one. Raises ValueError for anything else."""
    return _milli(one) > _milli(other)


@lru_cache(maxsize=1000)
def canonical(text: str | int) -> str:
    """The canonical string of a quantity: `1000m` → `1`, `1024Mi` → `1Gi`, `0.5` → `500m`, `8` → `8`.

    AIBrix's webhook rewrites every other spelling, and Git would differ from the cluster for ever (AIBrix
    pkg/webhook/stormservice_webhook.go with controller-runtime v0.19; apimachinery pkg/api/resource/quantity.go).
    Finer than one thousandth is rounded up, as Kubernetes does. Raises ValueError for anything else.
    """
    digits, tenths, suffix = _parts(text)
    if suffix in _BINARY:
        units, rest = divmod(digits * 1024 ** _BINARY[suffix], 10**tenths)
        return _decimal(_milli(text), in_exponents=False) if rest else _binary(units)
    return _decimal(_milli(text), in_exponents=suffix[:1] in ("e", "E") and bool(suffix[1:]))


@lru_cache(maxsize=1000)
def times(text: str | int, count: int) -> str:
    """The canonical string of a quantity, `count` times. Raises ValueError for anything else."""
    digits, tenths, suffix = _parts(text)
    product = str(digits * count).zfill(tenths + 1)
    return canonical(f"{product[: len(product) - tenths]}.{product[len(product) - tenths :]}{suffix}")


def _parts(text: str | int) -> tuple[int, int, str]:
    """The digits as one number, how many of them stand behind the point, and the suffix."""
    match = re.fullmatch(PATTERN, str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    whole, _, fraction = match[1].partition(".")
    return int(whole + fraction), len(fraction), match[3] or ""


@lru_cache(maxsize=1000)
def _milli(text: str | int) -> int:
    """The quantity in thousandths, rounded up."""
    digits, tenths, suffix = _parts(text)
    if suffix in _BINARY:
        power, factor = 3 - tenths, 1024 ** _BINARY[suffix]
    else:
        exponent = int(suffix[1:]) if suffix[:1] in ("e", "E") and suffix[1:] else _DECIMAL[suffix]
        power, factor = exponent + 3 - tenths, 1
    above: int = digits * factor * 10 ** max(power, 0)
    below: int = 10 ** max(-power, 0)
    return -(-above // below)


def _binary(units: int) -> str:
    power = 0
    while units and units % 1024 == 0 and power < 6:
        units, power = units // 1024, power + 1
    return f"{units}{next((s for s, p in _BINARY.items() if p == power), '')}"


def _decimal(milli: int, in_exponents: bool) -> str:
    if milli == 0:
        return "0"
    power = -3
    while milli % 1000 == 0 and power < 18:
        milli, power = milli // 1000, power + 3
    if in_exponents and power:
        return f"{milli}e{power}"
    return f"{milli}{next(s for s, p in _DECIMAL.items() if p == power)}"


def whole_number(value: object) -> int | None:
    """The number that a text of up to 18 decimal digits writes, None for any other value."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else None
