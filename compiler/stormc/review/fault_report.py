"""Consequences of faults as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from stormc.facts.limits import ROUTING
from stormc.review.what_if import Consequence, Fault, Handling
from stormc.review.words import counted


def table(label: str, found: Sequence[Consequence]) -> Iterator[str]:
    """One line per fault and role, the worst first: what remains of each role, and who brings the rest back."""
    rows = [("FAULT", "AT", "PODS", "REMAINING", "SERVES", "RETRIES", "THEN")]
    for one in found:
        shares = " ".join(f"{role} {round(share * 100)}%" for role, share in one.remaining.items())
        retries = "" if one.retries is None else str(one.retries)
        serves = "decode alone" if one.alone else "yes" if one.serves else "no"
        rows.append((one.fault.value, one.role, str(one.pods), shares, serves, retries, one.handling.value))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield label
    fatal = [one.role for one in found if one.fault is Fault.CHIP and not one.serves]
    if fatal:
        yield f"one chip fault takes down the whole service: at {' or '.join(fatal)}; more replicas there go on serving"
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def text(label: str, found: Sequence[Consequence], free: int | None, place: str = "") -> Iterator[str]:
    """A paragraph per fault and role. `free` are the NPUs that no app of the pool takes, None without an inventory."""
    yield f"{label}{f' at {place}' if place else ''}"
    for one in found:
        where = "all roles, were they in one super pod" if one.fault is Fault.SUPER_POD else one.role
        yield f"  {one.fault.value} fails at {where}: {_answers(one)}"
        yield f"    {one.handling.value}; {counted(one.pods, 'pod')}"
        shares = ", ".join(f"{role} {round(share * 100)} %" for role, share in one.remaining.items())
        yield f"    remaining meanwhile: {shares}"
        if one.retries is not None:
            yield f"    draws on the {one.retries} retries of its PodGroup, which are not refilled"
        if one.role == ROUTING:
            yield "    clients of that proxy pod lose their streams; the others take new requests"
        else:
            yield f"    the proxy sends new requests to the other instances{_retried(one)}"
        if one.gang and one.handling is not Handling.NOBODY:
            yield f"    comes back with {counted(one.gang, 'healthy NPU')} free at once{_spare(one, free)}"
        if one.minutes is not None and one.handling is not Handling.NOBODY:
            yield f"    ready again after up to {one.minutes} min of loading"


def _answers(one: Consequence) -> str:
    if one.alone:
        return "decode serves alone meanwhile, and prefills by itself"
    return "serves on" if one.serves else "no answer meanwhile"


def _retried(one: Consequence) -> str:
    if one.alone:
        return " of decode"
    return " and tries broken ones elsewhere" if one.serves else ", of which there are none"


def _spare(one: Consequence, free: int | None) -> str:
    if free is None:
        return "; no inventory says whether there are spare ones"
    if one.fault in (Fault.PROCESS,):
        return "; its own are free then"
    return f"; {counted(free, 'NPU')} of the pool are spare" + ("" if free >= one.gang else ", which is too few")


def as_json(label: str, found: Sequence[Consequence], free: int | None) -> str:
    """All of it for programs."""
    faults: list[dict[str, Any]] = [
        {
            "fault": one.fault.value, "role": one.role, "pods": one.pods, "handling": one.handling.name.lower(),
            "remaining": {role: round(share, 3) for role, share in one.remaining.items()}, "serves": one.serves,
            "decodeAlone": one.alone,
            "retries": one.retries, "npusAtOnce": one.gang, "minutes": one.minutes,
        }
        for one in found
    ]  # fmt: skip
    return json.dumps({"app": label, "spareNpus": free, "faults": faults}, indent=2) + "\n"
