"""Consequences of faults as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stormc.facts.limits import ROUTING
from stormc.nouns import npus, pods
from stormc.phrase import Phrase, aligned, either, indented, phrase, verbatim
from stormc.review.what_if import Consequence, Fault, Handling


def table(label: str, consequences: Sequence[Consequence], translated: Callable[[str], str] = str) -> Iterator[str]:
    """One line per fault and role, the worst first: what remains of each role, and who brings the rest back."""
    rows = [("FAULT", "AT", "PODS", "REMAINING", "SERVES", "RETRIES", "THEN")]
    for one in consequences:
        shares = " ".join(f"{role} {round(share * 100)}%" for role, share in one.remaining.items())
        retries = "" if one.retries is None else str(one.retries)
        serves = phrase("decode alone") if one.alone else phrase("yes") if one.serves else phrase("no")
        rows.append((one.fault.value, one.role, str(one.pods), shares, translated(serves), retries,
                     translated(one.handling.value)))  # fmt: skip
    yield label
    fatal = [one.role for one in consequences if one.fault is Fault.CHIP and not one.serves]
    if fatal:
        yield phrase("one chip fault takes down the whole service: at {roles}; more replicas there go on serving",
                     roles=either(fatal))  # fmt: skip
    yield from aligned(rows)


def text(label: str, consequences: Sequence[Consequence], free: int | None, place: str = "") -> Iterator[str]:
    """A paragraph per fault and role. `free` are the NPUs that no app of the pool takes, None without an inventory."""
    yield phrase("{label} at {place}", label=label, place=place) if place else verbatim(label)
    for one in consequences:
        where = phrase("all roles, were they in one super pod") if one.fault is Fault.SUPER_POD else one.role
        yield indented(
            phrase("{fault} fails at {where}: {answers}", fault=one.fault.value, where=where, answers=_answers(one))
        )
        yield from (indented(line, 4) for line in _meanwhile(one, free))


def _meanwhile(one: Consequence, free: int | None) -> Iterator[Phrase]:
    """What is done about a fault, what remains until then, and what it takes."""
    yield phrase("{handling}; {pods}", handling=one.handling.value, pods=pods(one.pods))
    shares = ", ".join(f"{role} {round(share * 100)} %" for role, share in one.remaining.items())
    yield phrase("remaining meanwhile: {shares}", shares=shares)
    if one.retries is not None:
        yield phrase("draws on the {retries} retries of its PodGroup, which are not refilled", retries=one.retries)
    yield _clients(one)
    if one.handling is Handling.NOBODY:
        return
    if one.gang:
        yield phrase("comes back with {npus} that are healthy and free at once; {spare}", npus=npus(one.gang),
                     spare=_spare(one, free))  # fmt: skip
    if one.minutes is not None:
        yield phrase("ready again after up to {minutes} min of loading", minutes=one.minutes)


def _answers(one: Consequence) -> Phrase:
    if one.alone:
        return phrase("decode serves alone meanwhile, and prefills by itself")
    return phrase("serves on") if one.serves else phrase("no answer meanwhile")


def _clients(one: Consequence) -> Phrase:
    if one.role == ROUTING:
        return phrase("clients of that proxy pod lose their streams; the others take new requests")
    if one.alone:
        return phrase("the proxy sends new requests to the other instances of decode")
    if one.serves:
        return phrase("the proxy sends new requests to the other instances and tries broken ones elsewhere")
    return phrase("the proxy sends new requests to the other instances, of which there are none")


def _spare(one: Consequence, free: int | None) -> Phrase:
    if free is None:
        return phrase("no inventory says whether there are spare ones")
    if one.fault in (Fault.PROCESS,):
        return phrase("its own are free then")
    if free >= one.gang:
        return phrase("{npus} of the pool are spare", npus=npus(free))
    return phrase("{npus} of the pool are spare, which is too few", npus=npus(free))


def as_json(label: str, consequences: Sequence[Consequence], free: int | None) -> str:
    """All of it for programs."""
    faults: list[dict[str, Any]] = [
        {
            "fault": one.fault.value, "role": one.role, "pods": one.pods, "handling": one.handling.name.lower(),
            "remaining": {role: round(share, 3) for role, share in one.remaining.items()}, "serves": one.serves,
            "decodeAlone": one.alone,
            "retries": one.retries, "npusAtOnce": one.gang, "minutes": one.minutes,
        }
        for one in consequences
    ]  # fmt: skip
    return json.dumps({"app": label, "spareNpus": free, "faults": faults}, indent=2) + "\n"
