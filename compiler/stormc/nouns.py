"""Numbers with their nouns, as phrases: languages differ in how they count."""

from __future__ import annotations

from stormc.phrase import Phrase, phrase


def pods(number: int) -> Phrase:
    """`1 pod`, `2 pods`."""
    return phrase("{number} pod", number=number) if number == 1 else phrase("{number} pods", number=number)


def npus(number: int) -> Phrase:
    """`1 NPU`, `2 NPUs`."""
    return phrase("{number} NPU", number=number) if number == 1 else phrase("{number} NPUs", number=number)


def apps(number: int) -> Phrase:
    """`1 app`, `2 apps`."""
    return phrase("{number} app", number=number) if number == 1 else phrase("{number} apps", number=number)


def instances(number: int) -> Phrase:
    """`1 instance`, `2 instances`."""
    return phrase("{number} instance", number=number) if number == 1 else phrase("{number} instances", number=number)


def nodes(number: int) -> Phrase:
    """`1 node`, `2 nodes`."""
    return phrase("{number} node", number=number) if number == 1 else phrase("{number} nodes", number=number)


def services(number: int) -> Phrase:
    """`1 service`, `2 services`."""
    return phrase("{number} service", number=number) if number == 1 else phrase("{number} services", number=number)


def files(number: int) -> Phrase:
    """`1 file`, `2 files`."""
    return phrase("{number} file", number=number) if number == 1 else phrase("{number} files", number=number)


def errors(number: int) -> Phrase:
    """`1 error`, `2 errors`."""
    return phrase("{number} error", number=number) if number == 1 else phrase("{number} errors", number=number)


def warnings(number: int) -> Phrase:
    """`1 warning`, `2 warnings`."""
    return phrase("{number} warning", number=number) if number == 1 else phrase("{number} warnings", number=number)


def infos(number: int) -> Phrase:
    """`1 info`, `2 infos`."""
    return phrase("{number} info", number=number) if number == 1 else phrase("{number} infos", number=number)
