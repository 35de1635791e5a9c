"""Explanations as text: a block per value, a whole app as annotated YAML, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from stormc.passes.edit import REMOVED
from stormc.phrase import phrase, terminal_width
from stormc.review.explain import Explained, Explanation, Field, RenderedFile

LONG_TEXT = 12
"""Lines of a text block that are shown; programs in ConfigMaps have hundreds."""
SHOWN_ALIKE = 6
"""Values of one origin that are listed: the ports of 64 ranks have one."""
COLUMN = 56
"""Where the notes of annotated YAML begin."""


def text(values: Iterable[Explained], translated: Callable[[str], str] = str) -> Iterator[str]:
    """All that is known of some values, a block per origin, below the values that share it."""
    origins: dict[tuple[str, ...], list[Explained]] = {}
    for value in values:
        origins.setdefault(tuple(_origin(value, translated)), []).append(value)
    for number, (origin, alike) in enumerate(origins.items()):
        if number:
            yield ""
        if len(alike) == 1:
            yield from _head(alike[0], translated)
        else:
            yield from _heads(alike, translated)
        yield from origin


def block(value: Explained) -> Iterator[str]:
    """All that is known of one value, a line per fact."""
    yield from text([value])


def _head(value: Explained, translated: Callable[[str], str]) -> Iterator[str]:
    yield f"{value.object} {value.path}"
    yield _line(translated(phrase("value")), f"{shown(value.value)} ({value.file}:{value.line})")


def _heads(alike: Sequence[Explained], translated: Callable[[str], str]) -> Iterator[str]:
    for value in alike[:SHOWN_ALIKE]:
        yield f"{value.object} {value.path}: {shown(value.value)} ({value.file}:{value.line})"
    if (more := len(alike) - SHOWN_ALIKE) > 0:
        yield translated(phrase("and {more} more with the same origin:", more=more))


def _origin(value: Explained, translated: Callable[[str], str]) -> Iterator[str]:
    """Where a value comes from, a line per fact."""
    not_set, depends = translated(phrase("not set")), translated(phrase("depends on"))
    for field in value.decided:
        yield _line(translated(phrase("decided by")), _field(field))
    for field in value.over:
        yield _line(translated(phrase("over")), _field(field))
    if value.unset:
        yield _line(not_set, ", ".join(value.unset))
    for field in value.exists_if:
        if field.place is not None:
            yield _line(depends, _field(field))
    if absent := [field.name for field in value.exists_if if field.place is None]:
        yield _line(depends, f"{', '.join(absent)}; {not_set}")
    if value.fact:
        yield _line(translated(phrase("fact")), _fact(value))
    if value.source:
        yield _line(translated(phrase("source")), value.source)
    yield _line(translated(phrase("written by")), translated(phrase("pass {name}", name=value.writer)))
    for one in value.replaced:
        replaced = phrase(
            "{value} of pass {name}: {reason}", value=shown(one.value), name=one.writer, reason=one.reason
        )
        yield _line(translated(phrase("replaced")), translated(replaced))


def _line(name: str, fact: str) -> str:
    return f"  {name}{' ' * (11 - terminal_width(name))} {fact}"


def _fact(value: Explained) -> str:
    if value.fact_place is not None:
        return f"{value.fact} ({value.fact_place})"
    return f"{value.fact}, not set: its default" if value.fact.startswith(("platform.", "hardware.")) else value.fact


def _field(field: Field) -> str:
    value = "" if field.value is None else f": {shown(field.value)}"
    return f"{field.name}{value} ({field.place})"


def shown(value: Any) -> str:
    """A value on one line; of a text with several lines the number of them."""
    if value is REMOVED:
        return "removed"
    if isinstance(value, str) and "\n" in value:
        return f"a text of {len(value.splitlines())} lines"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def note(value: Explained) -> str:
    """The reason of a value in a few words: the field that decided and its place, else the fact and its source."""
    fields = [f"{field.name} {field.place}" for field in value.decided if field.place]
    if fields:
        text = ", ".join(fields[:2]) + (f" and {len(fields) - 2} more" if len(fields) > 2 else "")
        text += f": {value.fact}" if value.fact.startswith("hardware.") else ""
    elif value.fact == "default" and len(value.unset) == 1:
        text = f"default of {value.unset[0]}"
    else:
        text = f"{_fact(value)}: {value.source}" if value.source else _fact(value)
    return text + (f"; replaced {shown(value.replaced[-1].value)}" if value.replaced else "")


def annotated(explanation: Explanation) -> Iterator[str]:
    """The app's files one after the other, with a note beside the first line of every value; programs shortened."""
    for file in explanation.files:
        yield f"---  # {file.name}"
        yield from annotated_file(file)


def annotated_file(file: RenderedFile) -> Iterator[str]:
    """The lines of a rendered file with their notes."""
    for number, line, index, hidden in shown_lines(file):
        if hidden:
            yield f"{line}… {hidden} more lines"
        elif index is None or file.values[index].line != number:
            yield line
        else:
            yield f"{line:<{COLUMN}}  # {note(file.values[index])}"


def shown_lines(file: RenderedFile) -> Iterator[tuple[int, str, int | None, int]]:
    """Number, text and value of each line; of a long text block the first lines, then how many are left out."""
    lines = file.text.splitlines()
    counts: dict[int | None, int] = {}
    for index in file.of_line:
        counts[index] = counts.get(index, 0) + 1
    numbers: dict[int | None, int] = {}
    for number, (line, index) in enumerate(zip(lines, file.of_line, strict=True), 1):
        numbers[index] = numbers.get(index, 0) + 1
        if index is None or counts[index] <= LONG_TEXT or numbers[index] < LONG_TEXT:
            yield number, line, index, 0
        elif numbers[index] == LONG_TEXT:
            yield number, line[: len(line) - len(line.lstrip())] or "  ", index, counts[index] - LONG_TEXT + 1


def as_json(values: Iterable[Explained]) -> str:
    """The values as a JSON list; a value that a writer removed is null there."""
    return json.dumps([_plain(value) for value in values], indent=2) + "\n"


def _plain(value: Explained) -> dict[str, Any]:
    return {
        "object": value.object,
        "path": value.path,
        "value": value.value,
        "file": value.file,
        "line": value.line,
        "pass": value.writer,
        "decidedBy": [_plain_field(field) for field in value.decided],
        "over": [_plain_field(field) for field in value.over],
        "notSet": list(value.unset),
        "dependsOn": [_plain_field(field) for field in value.exists_if],
        "fact": value.fact,
        "factPlace": value.fact_place._asdict() if value.fact_place else None,
        "source": value.source,
        "replaced": [
            {"pass": one.writer, "value": None if one.value is REMOVED else one.value, "reason": one.reason}
            for one in value.replaced
        ],
    }


def _plain_field(field: Field) -> dict[str, Any]:
    place = field.place._asdict() if field.place else None
    return {"field": field.name, "value": field.value, "place": place}
