"""Text for people that remembers how it was made, so that it can be shown in another language.

A phrase is its English sentence, and behaves as that string everywhere: it is compared, sorted and printed as such. It
also carries the template and the values. `stormc.languages` has the templates in other languages; a test collects
every template of the sources and fails when one is missing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

Value = str | int | float


class Phrase(str):
    """An English sentence with its template, and the values of the template's placeholders by name.

    A value that is a phrase itself is shown in the other language too; any other one stays as it is.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Value]


def phrase(template: str, /, **values: object) -> Phrase:
    """The sentence of a template, which is a literal, in the form of `str.format`, with names in the braces."""
    fillings: dict[str, Value] = {
        name: value if isinstance(value, (str, int, float)) else str(value) for name, value in values.items()
    }
    sentence = Phrase(template.format(**fillings))
    sentence.template = template
    sentence.values = fillings
    return sentence


def with_hint(sentence: str, hint: str) -> Phrase:
    """A sentence and what to do about it in one line: `no app x; did you mean y?`; alone without a hint."""
    return phrase("{sentence}; {hint}", sentence=sentence, hint=hint) if hint else verbatim(sentence)


def with_other(sentence: Phrase, **values: object) -> Phrase:
    """The same sentence with other values for some placeholders, also of the phrases inside it."""
    fillings = {
        name: with_other(old, **values) if isinstance(old, Phrase) else old for name, old in sentence.values.items()
    }
    replaced = {name: new for name, new in values.items() if name in fillings}
    return phrase(sentence.template, **{**fillings, **replaced})


def without(sentence: Phrase, placeholder: str) -> tuple[tuple[object, ...], Value | None]:
    """What a sentence is made of except the value of one placeholder, at any depth; and that value, if it has one."""
    rest: list[object] = [sentence.template]
    held = sentence.values.get(placeholder)
    for name, value in sentence.values.items():
        if name == placeholder:
            continue
        if isinstance(value, Phrase):
            part, inside = without(value, placeholder)
            held = inside if held is None else held
            rest.append((name, part))
        else:
            rest.append((name, value))
    return tuple(rest), held


NONE = phrase("")
"""The empty phrase: the hint of a finding without one."""


def verbatim(words: object) -> Phrase:
    """Words that are the same in every language: names, or what another program says."""
    return phrase("{words}", words=words)


def listed(words: Iterable[str]) -> Phrase:
    """`a, b, c`; of phrases, each in its language."""
    return joined(", ", words)


def joined(separator: str, words: Iterable[str]) -> Phrase:
    """The words with a separator between them; of phrases, each in its language."""
    names = {f"word{number}": word for number, word in enumerate(words)}
    return phrase(separator.join(f"{{{name}}}" for name in names), **names)


def indented(line: str, columns: int = 2) -> Phrase:
    """A line with spaces before it."""
    return phrase(f"{' ' * columns}{{line}}", line=line)


def both(words: Iterable[str]) -> Phrase:
    """`a and b`."""
    return chained(words, "{words} and {last}")


def either(words: Iterable[str]) -> Phrase:
    """`a or b`."""
    return chained(words, "{words} or {last}")


def alternatives(words: Iterable[str]) -> Phrase:
    """`a, or b`: each of them is enough."""
    return chained(words, "{words}, or {last}")


def chained(words: Iterable[str], template: str) -> Phrase:
    """The words joined one by one by a template with `{words}`, for those so far, and `{last}`."""
    first, *rest = words
    sentence = verbatim(first)
    for word in rest:
        sentence = phrase(template, words=sentence, last=word)
    return sentence


def terminal_width(text: str) -> int:
    """Columns that a terminal gives to a text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines for a terminal, every column as wide as its widest cell."""
    widths = [max(terminal_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell + " " * (width - terminal_width(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def described(description: str) -> Phrase:
    """The description of a field as a sentence without its full stop."""
    return phrase(description.rstrip(".").replace("{", "{{").replace("}", "}}"))
