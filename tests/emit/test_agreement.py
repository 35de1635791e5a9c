"""jsonschema-rs and jsonschema agree on every manifest, whatever people may write."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stormc.emit import schema_check
from stormc.emit.schema_check import holds
from stormc.emit.schema_words import problems_of, strict
from tests.emit.manifests import VALID, Manifest
from tools import schemas as generate

FILES = {make: schema_check.SCHEMAS[make()["apiVersion"], make()["kind"]] for make in VALID}
STOCK = {name: Draft202012Validator(json.loads(text)) for name, text in generate.generated().items()}
ODD = [
    None,
    1.5,
    1.0,
    True,
    False,
    1,
    0,
    -1,
    8080,
    101,
    "x",
    "",
    "TCP",
    "A\n",
    [],
    {},
    [1],
    ["x", "x"],
    {"a": 1},
    {1: "x"},
]


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, value in items for found in _paths(value, (*path, key)))]


def _mutated(draw: st.DrawFn, manifest: Any) -> Any:
    """The manifest with one random change: another value, one less, one more, one twice, another order, or none."""
    path = draw(st.sampled_from(_paths(manifest)[1:]))
    node = manifest
    for step in path[:-1]:
        node = node[step]
    change = draw(st.sampled_from(["replace", "delete", "add", "repeat", "reorder", "copy"]))
    target = node[path[-1]]
    if change == "replace":
        node[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
    elif change == "delete":
        del node[path[-1]]
    elif change == "add" and isinstance(target, dict):
        target[draw(st.sampled_from(["name", "x", "spec", "protocol", "port"]))] = copy.deepcopy(
            draw(st.sampled_from(ODD))
        )
    elif change == "add" and isinstance(target, list):
        target.append(copy.deepcopy(draw(st.sampled_from(ODD))))
    elif change == "repeat" and isinstance(node, list):
        node.append(copy.deepcopy(target))
    elif change == "reorder" and isinstance(target, dict):
        node[path[-1]] = dict(reversed(target.items()))
    elif change == "copy":
        source = manifest
        for step in draw(st.sampled_from(_paths(manifest)[1:])):
            source = source[step]
        node[path[-1]] = copy.deepcopy(source)
    return manifest


@st.composite
def _mutants(draw: st.DrawFn) -> tuple[str, list[Manifest]]:
    make = draw(st.sampled_from(VALID))
    manifests = []
    for _ in range(draw(st.integers(1, 4))):
        manifest: Any = make()
        for _ in range(draw(st.integers(0, 2))):
            if len(_paths(manifest)) > 1:
                manifest = _mutated(draw, manifest)
        manifests.append(manifest)
    return FILES[make], manifests


@settings(max_examples=300, deadline=None)
@given(_mutants())
def test_both_validators_agree(mutants: tuple[str, list[Manifest]]) -> None:
    name, manifests = mutants
    for manifest in manifests:
        problems = problems_of(strict(name), manifest)
        assert holds(name, manifest) == (not problems)
        if not STOCK[name].is_valid(manifest):
            assert problems
