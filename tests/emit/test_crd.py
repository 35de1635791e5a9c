"""A manifest against a CRD that the user brings: whatever the API server would refuse or prune is a problem."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.emit.crd import Crd, translate_crd
from stormc.emit.schema_words import StrictValidator, problems_of
from stormc.emit.size import SchemaProblem
from stormc.load.crd import load_crd

STRING = {"type": "string"}
INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
QUANTITY = {**INT_OR_STRING, "pattern": r"^[0-9]+(m|Mi|Gi)?$"}
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 100},
        "big": {"type": "integer", "format": "int64"},
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "go": {"type": "string", "pattern": r"^\pL+$"},
        "note": {"type": "string", "nullable": True},
        "surge": INT_OR_STRING,
        "limits": {"type": "object", "additionalProperties": QUANTITY},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"known": STRING}},
        "empty": {"type": "object"},
        "open": {"type": "object", "additionalProperties": True},
        "flags": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "required": ["port"],
                "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}},
            },
        },
        "choice": {
            "type": "object",
            "maxProperties": 1,
            "properties": {"one": STRING, "two": STRING},
            "oneOf": [{"required": ["one"]}, {"required": ["two"]}],
        },
        "object": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object"}},
        },
    },
}
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.dev"},
    "spec": {
        "group": "example.dev",
        "names": {"kind": "Thing", "plural": "things"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1alpha1", "served": False, "storage": False, "schema": {"openAPIV3Schema": {"type": "object"}}},
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": STRING,
                            "kind": STRING,
                            "metadata": {"type": "object"},
                            "spec": SPEC,
                        },
                    }
                },
            },
        ],
    },
}


def _thing(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "y", "labels": {"a": "b"}}
    return {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": metadata, "spec": {"size": 1, **spec}}


def _judged(manifest: dict[str, Any]) -> list[SchemaProblem]:
    """What jsonschema says of the translation."""
    return problems_of(
        StrictValidator(translate_crd(CRD["spec"]["versions"][1]["schema"]["openAPIV3Schema"])), manifest
    )


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"note": None},
        {"note": "x"},
        {"surge": 1},
        {"surge": "25%"},
        {"limits": {"cpu": 1, "memory": "64Gi"}},
        {"free": {"anything": {"goes": None}, "known": "x"}},
        {"empty": {}},
        {"open": {"x": 1}},
        {"flags": ["a", "b"]},
        {"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}, {"port": 2}]},
        {"choice": {"one": "x"}},
        {"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}},
        {"big": 2**40},
        {"ratio": 0.5},
        {"go": "é"},
    ],
)
def test_what_the_server_stores_unchanged_is_no_problem(spec: dict[str, Any]) -> None:
    assert _judged(_thing(**spec)) == []
    assert Crd(CRD).problems(_thing(**spec)) == []
    assert Crd(CRD).problems(_thing(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ({"sise": 1}, ["spec.sise is not a known field, did you mean size?"]),
        ({"size": 0}, ["spec.size 0 is less than the minimum of 1"]),
        ({"size": 101}, ["spec.size 101 is more than the maximum of 100"]),
        ({"size": "1"}, ["spec.size must be an integer, got '1'"]),
        ({"size": None}, ["spec.size must not be null"]),
        ({"big": 2**63}, [f"spec.big {2**63} is more than the maximum of {2**63 - 1}"]),
        ({"ratio": 0}, ["spec.ratio 0 is not more than 0"]),
        ({"mode": "c"}, ["spec.mode 'c' is not one of 'a', 'b'"]),
        ({"code": "A"}, ["spec.code 'A' has the wrong form"]),
        ({"code": "a\n"}, [r"spec.code 'a\n' has the wrong form"]),
        ({"surge": True}, ["spec.surge must be an integer or a string, got true"]),
        ({"limits": {"cpu": "1x"}}, ["spec.limits.cpu '1x' has the wrong form"]),
        ({"limits": {"cpu": 1.5}}, ["spec.limits.cpu must be an integer or a string, got 1.5"]),
        ({"free": {"known": 1}}, ["spec.free.known must be a string, got 1"]),
        ({"empty": {"pruned": 1}}, ["spec.empty.pruned is not a known field"]),
        ({"flags": ["a", "a"]}, ["spec.flags has the same item twice"]),
        ({"ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]}, ["spec.ports[1] repeats port 1, protocol 'TCP'"]),
        ({"ports": [{}]}, ["spec.ports[0].port is missing"]),
        ({"choice": {}}, ["spec.choice a mapping does not satisfy oneOf of the schema"]),
        ({"object": {"spec": {"pruned": 1}, "kind": 1}}, [
            "spec.object.kind must be a string, got 1", "spec.object.spec.pruned is not a known field",
        ]),
    ],
)  # fmt: skip
def test_what_the_server_refuses_or_prunes_is_a_problem(spec: dict[str, Any], messages: list[str]) -> None:
    problems = Crd(CRD).problems(_thing(**spec))
    assert [problem.message for problem in problems] == messages
    assert problems == _judged(_thing(**spec))


def test_the_fields_of_every_object_are_known() -> None:
    manifest = _thing() | {"extra": 1}
    manifest["metadata"] |= {"nam": "x", "labels": {"a": 1}}
    assert [problem.path for problem in Crd(CRD).problems(manifest)] == [
        ("extra",), ("metadata", "labels", "a"), ("metadata", "nam"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "example.dev/v2"}, "the CRD does not serve version v2"),
        ({"apiVersion": "example.dev/v1alpha1"}, "the CRD does not serve version v1alpha1"),
        ({"apiVersion": "other.dev/v1"}, "the CRD describes Thing of example.dev, not 'Thing' of other.dev"),
        ({"kind": "Think"}, "the CRD describes Thing of example.dev, not 'Think' of example.dev"),
        ({"kind": None}, "the CRD describes Thing of example.dev, not null of example.dev"),
    ],
)
def test_another_kind_or_version_is_one_problem(change: dict[str, Any], message: str) -> None:
    assert [problem.message for problem in Crd(CRD).problems(_thing() | change)] == [message]


@pytest.mark.parametrize(
    "crd", [{}, {"spec": None}, {"spec": []}, {"spec": {"names": []}}, {"kind": "Service", "spec": {}}]
)
def test_a_file_that_is_no_crd_is_one_problem(crd: dict[str, Any]) -> None:
    (problem,) = Crd(crd).problems(_thing())
    assert problem.message == "the file is not a CustomResourceDefinition: it has no spec.names"


@pytest.mark.parametrize(
    "versions", [None, "v1", [None], [{"name": "v1", "served": True, "schema": None}], [{"name": 1}]]
)
def test_a_crd_without_a_usable_schema_is_one_problem(versions: Any) -> None:
    crd = copy.deepcopy(CRD)
    crd["spec"]["versions"] = versions
    assert len(Crd(crd).problems(_thing())) == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"spec": {"type": "thing"}}},
        {"type": "object", "properties": {"spec": {"minimum": "one"}}},
        {"type": "object", "required": "spec"},
        {"properties": {"spec": {"anyOf": 1}}},
        {"type": ["object"], "format": ["int32"]},
        {"type": "object", "properties": {"spec": 1}},
        {"type": "object", "required": [{}]},
        {"not": 1},
        {"allOf": [1]},
    ],
)
def test_a_crd_whose_schema_is_no_schema_is_one_problem(schema: dict[str, Any]) -> None:
    crd = copy.deepcopy(CRD)
    crd["spec"]["versions"][1]["schema"]["openAPIV3Schema"] = schema
    (problem,) = Crd(crd).problems(_thing())
    assert problem.message == "version v1 of the CRD has no valid openAPIV3Schema"


def test_the_translation_is_a_json_schema() -> None:
    StrictValidator.check_schema(translate_crd(CRD["spec"]["versions"][1]["schema"]["openAPIV3Schema"]))


def test_of_a_release_with_many_definitions_that_of_the_storm_service_counts(tmp_path: Path) -> None:
    kind = "CustomResourceDefinition"
    storm = {"kind": kind, "spec": {"names": {"kind": "StormService"}}}
    documents = [{"kind": "Namespace"}, None, {"kind": kind, "spec": []}, storm, CRD]
    (tmp_path / "release.yaml").write_text(yaml.safe_dump_all(documents))
    assert load_crd(tmp_path / "release.yaml") == storm
