"""Phrases: English strings that remember their template."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from string import Formatter

import pytest

from stormc.phrase import (
    NONE,
    Phrase,
    alternatives,
    both,
    chained,
    either,
    listed,
    phrase,
    verbatim,
    with_other,
    without,
)

SOURCES = sorted((Path(__file__).parent.parent / "compiler").rglob("*.py"))


def test_a_phrase_is_its_english_sentence() -> None:
    used = phrase("{role} uses {used} of {npus} NPUs", role="decode", used=3, npus=4)
    assert used == "decode uses 3 of 4 NPUs" and isinstance(used, str) and hash(used) == hash(str(used))
    assert used.template == "{role} uses {used} of {npus} NPUs" and used.values == {
        "role": "decode",
        "used": 3,
        "npus": 4,
    }
    assert sorted([used, phrase("a")]) == ["a", "decode uses 3 of 4 NPUs"]
    assert not NONE and verbatim("{as it is}") == "{as it is}"


def test_a_value_that_is_no_plain_value_is_kept_as_text() -> None:
    assert phrase("{path}", path=Path("a/b")).values == {"path": "a/b"}


@pytest.mark.parametrize(
    ("put_together", "words", "sentence"),
    [
        (listed, ("a", "b", "c"), "a, b, c"),
        (both, ("a", "b", "c"), "a and b and c"),
        (either, ("a",), "a"),
        (alternatives, ("a", "b"), "a, or b"),
        (lambda words: chained(words, "{words} and no {last}"), ("a", "b"), "a and no b"),
    ],
)
def test_words_are_put_together(put_together: object, words: tuple[str, ...], sentence: str) -> None:
    assert callable(put_together) and put_together(words) == sentence


def test_a_phrase_crosses_processes_with_its_template() -> None:
    outer = phrase("{hint}!", hint=phrase("did you mean {word}?", word="labels"))
    copy = pickle.loads(pickle.dumps(outer))
    inner = copy.values["hint"]
    assert (copy, copy.template) == (outer, outer.template)
    assert isinstance(inner, Phrase) and inner.template == "did you mean {word}?"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_templates_are_literals_whose_placeholders_are_given(path: Path) -> None:
    """So that every template can be collected, and none fails only when its finding is met."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "phrase"):
            continue
        if path.name in ("phrase.py", "memory.py"):
            continue  # they make phrases of templates that were literals once
        where = f"{path}:{node.lineno}"
        template = ast.literal_eval(node.args[0])
        assert isinstance(template, str), where
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        assert names == {keyword.arg for keyword in node.keywords}, where


def test_a_placeholder_is_found_and_replaced_inside_of_a_sentence_too() -> None:
    sentence = phrase("{what} holds {x}", what=phrase("flag {name} of {role}", name="a", role="decode"), x="a secret")
    other = with_other(sentence, role="prefill")
    assert other == "flag a of prefill holds a secret"
    assert without(sentence, "role")[1] == "decode" and without(sentence, "missing")[1] is None
    assert (
        without(sentence, "role")[0] == without(other, "role")[0] != without(with_other(sentence, name="b"), "role")[0]
    )
