"""Layers: the nearest value wins key by key, and every value is found in the file that it came from."""

from __future__ import annotations

from stormc.load.document import Document, load_document
from stormc.model.layers import Layer, merge_layers


def document(file: str, text: str) -> Document:
    made, findings = load_document(file, text.encode())
    assert made is not None, findings
    return made


FAR = Layer(document("far", "defaults:\n  a: {x: 1, y: 2}\n  b: [1, 2]\n  c: 1\n  e: {z: 1}\n"), ("defaults",))
NEAR = Layer(document("near", "a: {y: 3}\nb: [4]\nc: {deep: 1}\nd: 5\ne: 6\n"))


def test_mappings_merge_and_everything_else_is_replaced() -> None:
    merged = merge_layers([FAR, NEAR])
    assert merged.data == {"a": {"x": 1, "y": 3}, "b": [4], "c": {"deep": 1}, "d": 5, "e": 6}
    assert FAR.data == {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 1, "e": {"z": 1}}
    assert merged.file == "near"


def test_null_takes_an_inherited_value_back_but_not_a_flag() -> None:
    far = Layer(document("far", "a: {x: 1, y: 2}\nb: 1\nr: {engineArgs: {f: 1, g: {h: 2}}}\n"))
    near = Layer(document("near", "a: {x: null}\nb: null\nc: null\nr: {engineArgs: {f: null, g: {h: null}}}\n"))
    flags = {"f": None, "g": {"h": None}}
    assert merge_layers([far, near]).data == {"a": {"y": 2}, "c": None, "r": {"engineArgs": flags}}


def test_one_layer_is_itself() -> None:
    assert merge_layers([NEAR]).data is NEAR.data


def test_values_and_keys_are_found_where_they_were_typed() -> None:
    merged = merge_layers([FAR, NEAR])
    positions = {path: merged.locate(path) for path in (("a", "x"), ("a", "y"), ("d",), ("a", "missing"), ("missing",))}
    assert {path: (file, mark[:2]) for path, (file, mark) in positions.items()} == {
        ("a", "x"): ("far", (2, 10)), ("a", "y"): ("near", (1, 8)), ("d",): ("near", (4, 4)),
        ("a", "missing"): ("near", (1, 4)), ("missing",): ("near", (1, 1)),
    }  # fmt: skip
    file, mark = merged.locate(("a", "x"), key=True)
    assert (file, mark[:2]) == ("far", (2, 7))


def test_a_layer_without_its_prefix_is_empty() -> None:
    assert Layer(document("x", "a: 1\n"), ("defaults",)).data == {}
    assert Layer(document("x", "defaults: 1\n"), ("defaults", "a")).data == {}


def test_what_a_role_takes_from_the_app_is_found_at_the_field_of_the_app() -> None:
    merged = merge_layers([Layer(document("app", "queue: a\nhostNetwork: true\ndecode:\n  hostNetwork: false\n"))])
    places = [("prefill", "queue"), ("prefill", "hostNetwork"), ("decode", "hostNetwork"), ("decode", "spBlock")]
    assert [merged.locate(place)[1][:2] for place in places] == [(1, 8), (2, 14), (4, 16), (4, 3)]
