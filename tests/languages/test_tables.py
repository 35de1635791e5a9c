"""Every text that findings and rules can show stands in the table of every language, with the same placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc import languages
from stormc.languages import Explanation, language_of, read_language, translate
from stormc.phrase import Phrase, listed, phrase, verbatim
from stormc.reference.ids import ids
from stormc.reference.pages import headings
from tests.languages.templates import has_words, placeholders, templates

TABLES = sorted(path.name for path in Path(languages.__file__).parent.iterdir() if (path / "messages.yaml").is_file())


def test_there_is_a_chinese_table() -> None:
    assert TABLES == ["zh"]


@pytest.mark.parametrize("name", TABLES)
def test_every_template_is_translated_and_none_is_left_over(name: str) -> None:
    assert templates() ^ read_language(name).messages.keys() == set()


@pytest.mark.parametrize("name", TABLES)
def test_translations_have_the_placeholders_of_their_template(name: str) -> None:
    messages = read_language(name).messages
    assert [key for key, text in messages.items() if placeholders(key) != placeholders(text)] == []


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_has_title_and_reason_in_sentences(name: str) -> None:
    rules = read_language(name).rules
    assert rules.keys() == set(ids())
    assert [id_ for id_, text in rules.items() if not (text.title.endswith("。") and text.why)] == []


@pytest.mark.parametrize("name", TABLES)
def test_headings_of_the_reference_are_translated(name: str) -> None:
    table = read_language(name).headings
    assert table.keys() == headings()
    assert [key for key, text in table.items() if has_words(key) and placeholders(key) != placeholders(text)] == []


@pytest.mark.parametrize(
    ("value", "language"),
    [("zh", "zh"), ("zh_CN.UTF-8", "zh"), ("zh-Hans", "zh"), ("ZH", "zh"), ("", "en"), ("en", "en"), ("C.UTF-8", "en"),
     ("tlh", "en"), ("..", "en"), ("__pycache__", "en"), ("/tmp", "en")],
)  # fmt: skip
def test_the_language_is_that_of_the_environment_or_english(value: str, language: str) -> None:
    assert language_of({"STORMC_LANG": value}) == language


def test_without_the_variable_texts_are_english() -> None:
    assert language_of({"LANG": "zh_CN.UTF-8"}) == "en"
    assert translate(phrase("remove it"), "en") == "remove it"


def test_a_phrase_and_the_phrases_in_it_are_translated_and_names_stay() -> None:
    inner = phrase("did you mean {meant}?", meant="labels")
    assert translate(inner, "zh") == "是否想写 labels？"
    nested = phrase("{message} (app {app})", message=phrase("{name} is missing", name="model"), app="chat")
    assert translate(nested, "zh") == "缺少 model（应用 chat）"
    assert translate(listed([phrase("a list"), "b"]), "zh") == "列表, b"
    assert translate(verbatim("remove it"), "zh") == "remove it"


def test_a_sentence_without_a_translation_stays_english() -> None:
    unknown = phrase("no table has this {word}", word=phrase("remove it"))
    assert isinstance(unknown, Phrase) and translate(unknown, "zh") == "no table has this 请删除它"
    assert read_language("en").rules.get("E036", Explanation("", "")).title == ""
