"""The editors' schemas: fresh, valid, and of one mind with Cerberus."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormc.load.document import Document
from stormc.model.check import check_app, check_platform
from stormc.model.layers import Layer, Layered
from tests.samples import BASE
from tools.editor_schema import ROOT
from tools.editor_schema import committed as schemas

FULL = (ROOT / "tests/golden/cases/every-field/specs/app.yaml").read_text(encoding="utf-8")
PLATFORM = """\
apiVersion: stormc.dev/v1
kind: Platform
mindcluster: "7.3"
aibrix: v0.5.0
namespace: inference
superPodSize: 48
inventory: {atlas-900-a3-superpod: {nodes: 96}}
gitops:
  argocd: {repoURL: https://git.example.com/a.git, project: inference}
  flux: {repoURL: https://git.example.com/a.git, secret: token}
"""
APPS = [yaml.safe_load(BASE), yaml.safe_load(FULL)]
DEFAULTS = {k: v for k, v in APPS[1].items() if k not in ("apiVersion", "kind", "name", "overrides")}
PLATFORMS = [yaml.safe_load(PLATFORM), {**yaml.safe_load(PLATFORM), "defaults": DEFAULTS}]
VALUES: list[Any] = [
    None, True, 0, 1, -1, 101, 70_000, 10**7, 1.5, "", "x", "X_y", "/a", "a b", "1", "a\n", "/a\n", "grace", "8Gi", "-",
    "é", "a" * 64, "2026-01-01", [], {}, [1], ["a"], {"a": 1}, {"a": "b"}, {"A B": "c"}, {"nodes": 1}, [{}],
    [{"key": "a"}],
]  # fmt: skip


@cache
def validator(name: str) -> Any:
    """Of the language that RE2 and the crate regex share: no lookahead, and `$` is the end of a text."""
    loaded = schema(name)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema_rs.Draft202012Validator(loaded, pattern_options=jsonschema_rs.RegexOptions())


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schemas()[f"{name}.schema.json"])
    return loaded


@pytest.mark.parametrize("name", schemas())
def test_the_committed_schemas_are_fresh(name: str) -> None:
    assert (ROOT / "schema" / name).read_text(encoding="utf-8") == schemas()[name], "run: make golden"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "compiler/stormc/facts/hardware").glob("*.yaml")), ids=lambda path: path.stem
)
def test_built_in_profiles_are_valid(path: Path) -> None:
    assert not list(validator("profile").iter_errors(yaml.safe_load(path.read_text(encoding="utf-8"))))


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in inner for place in ((*at, key), *places(child, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """A valid document, or one with a value replaced, a key removed, or one added."""
    document: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(documents)))
    *above, last = draw(st.sampled_from(places(document)))
    parent: Any = document
    for step in above:
        parent = parent[step]
    change = draw(st.sampled_from(["none", "replace", "replace", "remove", "add"]))
    if change == "replace":
        parent[last] = draw(st.sampled_from(VALUES))
    elif change == "remove":
        del parent[last]
    elif change == "add" and isinstance(parent, dict):
        parent[draw(st.sampled_from(["x", "labels", "env", "script", "command", "name", "port", "A B"]))] = draw(
            st.sampled_from(VALUES)
        )
    return document


def layered(document: dict[str, Any]) -> Layered:
    return Layered((Layer(Document("a.yaml", document)),), document)


@settings(max_examples=600, deadline=None)
@given(mutated(APPS))
@example({**APPS[1], "engine": None})
def test_cerberus_and_the_schema_agree_on_apps(document: dict[str, Any]) -> None:
    _, findings = check_app(layered(copy.deepcopy(document)))
    problems = [error.message for error in validator("app").iter_errors(document)]
    assert bool(findings) == bool(problems), (findings, problems)


@settings(max_examples=600, deadline=None)
@given(mutated(PLATFORMS))
def test_cerberus_and_the_schema_agree_on_platforms(document: dict[str, Any]) -> None:
    _, findings = check_platform(layered(copy.deepcopy(document)))
    problems = [error.message for error in validator("platform").iter_errors(document)]
    assert bool(findings) == bool(problems), (findings, problems)


@pytest.mark.parametrize("name", ["app", "platform"])
def test_every_field_tells_an_editor_what_it_is(name: str) -> None:
    for field, told in schema(name)["properties"].items():
        assert told["title"] and told["description"], field


def test_profiles_are_offered_and_others_accepted() -> None:
    hardware = schema("app")["properties"]["hardware"]["anyOf"]
    assert "atlas-900-a3-superpod" in hardware[0]["enum"]
    assert hardware[1] == {"type": "string"}


@pytest.mark.parametrize("path", sorted((ROOT / "specs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_specs_name_the_schema_that_they_fulfil(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first, _, address = text.split("\n")[0].partition("=")
    assert first == "# yaml-language-server: $schema"
    named = (path.parent / address).resolve()
    document = yaml.safe_load(text)
    assert named == ROOT / "schema" / f"{document['kind'].lower()}.schema.json"
    assert not list(validator(document["kind"].lower()).iter_errors(document))
