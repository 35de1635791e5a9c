from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stormc.emit.canonical import emit_yaml

# Every plain form that YAML 1.1 (PyYAML, go-yaml) or 1.2 (ruamel) takes for something else than a string.
AMBIGUOUS = [
    *("on", "off", "yes", "no", "y", "n", "Y", "N", "On", "OFF", "Yes", "NO", "true", "False", "null", "NULL", "~"),
    *("1", "0", "-1", "+1", "1.5", ".5", "1e3", "1_000", "0x1F", "0o17", "017", "0b1", "12:30", "1:2:3", "1:20:30.15"),
    *("2026-11-23", "2026-11-23T10:00:00Z", ".inf", "-.INF", ".nan", "=", "<<", "-", "?", ":", "{", "}", "[", "]"),
    *(",", "#", "&", "*", "!", "|", ">", "%", "@", "`", "'", '"', "", " ", " a", "a ", "a: b", "a #b", "- a", "? a"),
    *("a:", ":a", "\t", "a\tb", "é", "\x85", "\u2028", "\ufeff"),
]


def readings(text: str) -> list[Any]:
    """What YAML 1.1 and YAML 1.2 readers make of a document."""
    return [yaml.safe_load(text), yaml.load(text, yaml.CSafeLoader), YAML(typ="safe", pure=True).load(StringIO(text))]


@pytest.mark.parametrize("word", AMBIGUOUS)
@pytest.mark.parametrize("shape", ["value", "key", "item"])
def test_ambiguous_strings_stay_strings(word: str, shape: str) -> None:
    shapes: dict[str, dict[str, Any]] = {"value": {"a": word}, "key": {word: "x"}, "item": {"a": [word, word]}}
    document = shapes[shape]
    assert readings(emit_yaml(document)) == [document] * 3


strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | strings
documents = st.dictionaries(
    strings,
    st.recursive(scalars, lambda s: st.lists(s, max_size=4) | st.dictionaries(strings, s, max_size=4), max_leaves=12),
    min_size=1,
    max_size=5,
)


def has_nested_lists(value: Any) -> bool:
    """Lists directly in lists do not occur in the objects that we write, and the emitter refuses them."""
    if isinstance(value, dict):
        return any(map(has_nested_lists, value.values()))
    return isinstance(value, list) and any((isinstance(i, list) and i) or has_nested_lists(i) for i in value)


@given(documents.filter(lambda d: not has_nested_lists(d)))
def test_all_readers_agree_with_what_was_meant(document: dict[str, Any]) -> None:
    text = emit_yaml(document)
    assert readings(text) == [document] * 3
    assert text.endswith("\n")


@given(documents.filter(lambda d: not has_nested_lists(d)), st.randoms())
def test_the_order_of_keys_does_not_matter(document: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert emit_yaml(shuffled(document)) == emit_yaml(document)


LAYOUTS = [
    ({"b": 1, "kind": "K", "apiVersion": "v1"}, "apiVersion: v1\nkind: K\nb: 1\n"),
    ({"labels": {"name": "b", "a": "c"}}, "labels:\n  a: c\n  name: b\n"),
    ({"spec": [{"value": "on", "name": "x"}]}, 'spec:\n  - name: x\n    value: "on"\n'),
    ({"a": {}, "b": [], "c": [{}, []]}, "a: {}\nb: []\nc:\n  - {}\n  - []\n"),
    ({"a": "one\ntwo\n"}, "a: |\n  one\n  two\n"),
    ({"a": ["one\n\n  two"]}, "a:\n  - |-\n    one\n\n      two\n"),
    ({"a": "one\n\n\n"}, "a: |+\n  one\n\n\n"),
    ({"a": "--flag=1", "b": '{"k":"v\'s"}'}, "a: --flag=1\nb: '{\"k\":\"v''s\"}'\n"),
    ({"a": "x" * 300}, f"a: {'x' * 300}\n"),
]


@pytest.mark.parametrize(("document", "text"), LAYOUTS)
def test_values_of_every_kind_are_laid_out_in_one_way(document: dict[str, Any], text: str) -> None:
    assert emit_yaml(document) == text
    assert readings(text) == [document] * 3


def test_shared_values_are_written_out() -> None:
    shared = {"x": ["z"]}
    assert emit_yaml({"a": shared, "b": shared}) == "a:\n  x:\n    - z\nb:\n  x:\n    - z\n"


@pytest.mark.parametrize("value", [1.5, {1.5}, b"x", ("a",), "\ud800"])
def test_what_has_no_place_in_a_manifest_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        emit_yaml({"a": value})
    with pytest.raises(TypeError):
        emit_yaml({"a": [value]})
