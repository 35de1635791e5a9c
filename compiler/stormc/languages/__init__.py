"""Texts of findings and rules in languages other than English: a directory each, with one table for both.

English needs no table, so nothing here is read for it. Ids, severities, paths and names of fields are the same in
every language.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from stormc.phrase import Phrase
from stormc.record import NamedTuple

ENGLISH = "en"
VARIABLE = "STORMC_LANG"
"""The environment variable that names the language: `zh`, or a locale such as `zh_CN.UTF-8`."""


class Explanation(NamedTuple):
    """What an id demands, and why."""

    title: str
    why: str


class Language(NamedTuple):
    """Sentences by their English template, with the same placeholders; explanations by id; headings by English."""

    messages: Mapping[str, str]
    rules: Mapping[str, Explanation]
    headings: Mapping[str, str]


NOTHING = Language({}, {}, {})


def language_of(environment: Mapping[str, str]) -> str:
    """The language that the environment asks for; English where it names none, or one without a table."""
    name = environment.get(VARIABLE, "").replace("-", "_").partition("_")[0].partition(".")[0].lower()
    return name if name.isalpha() and (Path(__file__).parent / name).is_dir() else ENGLISH


@cache
def read_language(name: str) -> Language:
    """The tables of a language, read once; empty for English, whose texts are in the sources."""
    if name == ENGLISH:
        return NOTHING
    messages, rules = (_read(name, table) for table in ("messages", "rules"))
    return Language(
        messages["messages"],
        {id_: Explanation(text["title"], text["why"]) for id_, text in rules.items()},
        messages["headings"],
    )


def translate(sentence: str, language: str) -> str:
    """A phrase in a language, the phrases among its values too; in English where the table has no such sentence."""
    if language == ENGLISH or not isinstance(sentence, Phrase):
        return sentence
    values = {
        name: translate(value, language) if isinstance(value, str) else value for name, value in sentence.values.items()
    }
    template = read_language(language).messages.get(sentence.template, sentence.template)
    return template.format(**values)


def _read(name: str, table: str) -> Mapping[str, Mapping[str, str]]:
    import yaml

    text = (Path(__file__).parent / name / f"{table}.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Mapping[str, str]] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content
