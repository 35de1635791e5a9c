"""The schemas of rendered manifests: never stale, strict, and both judges of them agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from stormc.emit.schema_check import check_manifest
from tests.emit.manifests import (
    CONTAINER,
    DELETE,
    NAMES,
    POD,
    ROLE,
    VALID,
    Manifest,
    config_map,
    container,
    kustomization,
    put,
    role,
    service,
    storm_service,
)
from tools import schemas as generate
from tools.schemas import kubernetes

generated = cache(generate.generated)

WRONG: list[tuple[Callable[[], Manifest], str, Any, str]] = [
    # unknown and missing fields
    (storm_service, "spec.replica", 1, "spec.replica is not a known field, did you mean replicas?"),
    (storm_service, "status", {}, "status is not a known field"),
    (storm_service, "metadata.uid", "x", "metadata.uid is not a known field"),
    (storm_service, "metadata.ownerReferences", [], "metadata.ownerReferences is not a known field"),
    (storm_service, f"{ROLE}.dependencies", [], f"{'spec.template.spec.roles[0]'}.dependencies is not a known field"),
    (storm_service, f"{ROLE}.updateStrategy.type", "Recreate", "updateStrategy.type is not a known field"),
    (storm_service, f"{ROLE}.template.metadata.ownerReferences", [], "metadata.ownerReferences is not a known field"),
    (storm_service, f"{POD}.resources", {}, "template.spec.resources is not a known field"),
    (storm_service, f"{POD}.hostnameOverride", "x", "template.spec.hostnameOverride is not a known field"),
    (storm_service, f"{POD}.ephemeralContainers", [], "ephemeralContainers is not a known field"),
    (storm_service, f"{CONTAINER}.restartPolicyRules", [], "containers[0].restartPolicyRules is not a known field"),
    (storm_service, "spec.selector", DELETE, "spec.selector is missing"),
    (storm_service, "spec.template", DELETE, "spec.template is missing"),
    (storm_service, "spec.replicas", DELETE, "spec.replicas is missing"),
    (storm_service, f"{ROLE}.replicas", DELETE, "roles[0].replicas is missing"),
    (storm_service, f"{POD}.containers", DELETE, "template.spec.containers is missing"),
    (storm_service, f"{CONTAINER}.name", DELETE, "containers[0].name is missing"),
    (storm_service, f"{CONTAINER}.image", DELETE, "containers[0].image is missing"),
    (storm_service, "metadata.namespace", DELETE, "metadata.namespace is missing"),
    (service, "spec.prots", [], "spec.prots is not a known field, did you mean ports?"),
    (service, "spec.ports.0.port", DELETE, "spec.ports[0].port is missing"),
    (config_map, "spec", {}, "spec is not a known field"),
    (kustomization, "namespace", "x", "namespace is not a known field"),
    (kustomization, "resources", DELETE, "resources is missing"),
    # types
    (storm_service, "spec.replicas", "1", "spec.replicas must be an integer, got '1'"),
    (storm_service, "spec.replicas", True, "spec.replicas must be an integer, got true"),
    (storm_service, "spec.replicas", 1.0, "spec.replicas must be an integer, got 1.0"),
    (storm_service, "spec.replicas", None, "spec.replicas must not be null"),
    (storm_service, "spec.paused", None, "spec.paused must not be null"),
    (storm_service, "spec.stateful", "true", "spec.stateful must be true or false, got 'true'"),
    (storm_service, f"{CONTAINER}.args", [1], "args[0] must be a string, got 1"),
    (storm_service, f"{CONTAINER}.args", "x", "args must be a list, got 'x'"),
    (storm_service, f"{CONTAINER}.env.0.value", 1, "env[0].value must be a string, got 1"),
    (storm_service, f"{CONTAINER}.resources.limits.huawei~com/Ascend910", 16, "must be a string, got 16"),
    (storm_service, f"{CONTAINER}.resources.limits.cpu", "1e", "limits.cpu '1e' has the wrong form"),
    (storm_service, f"{CONTAINER}.resources.limits.cpu", "0.5", "limits.cpu '0.5' has the wrong form"),
    (storm_service, f"{CONTAINER}.resources.limits.cpu", "1\n", r"limits.cpu '1\n' has the wrong form"),
    (storm_service, f"{POD}.volumes.0.emptyDir.sizeLimit", 1, "emptyDir.sizeLimit must be a string, got 1"),
    (storm_service, f"{CONTAINER}.readinessProbe.httpGet.port", 1.5, "must be an integer or a string, got 1.5"),
    (storm_service, f"{ROLE}.template.metadata.labels.x", 1, "labels.x must be a string, got 1"),
    (storm_service, f"{ROLE}.template.metadata.annotations.x", None, "annotations.x must not be null"),
    (storm_service, f"{ROLE}.template.metadata.annotations", {1: "x"}, "has a key that is not a string"),
    (config_map, "data.config~json", {}, "data.config.json must be a string, got a mapping"),
    # values
    (storm_service, f"{ROLE}.podGroupSize", 0, "podGroupSize 0 is less than the minimum of 1"),
    (storm_service, f"{ROLE}.podGroupSize", 101, "podGroupSize 101 is more than the maximum of 100"),
    (storm_service, f"{ROLE}.upgradeOrder", 0, "upgradeOrder 0 is less than the minimum of 1"),
    (storm_service, f"{ROLE}.replicas", -1, "replicas -1 is less than the minimum of 0"),
    (storm_service, f"{ROLE}.name", "Prefill", "roles[0].name 'Prefill' has the wrong form"),
    (storm_service, "spec.updateStrategy.type", "Rolling", "'Rolling' is not one of 'RollingUpdate', 'InPlaceUpdate'"),
    (storm_service, "spec.template.spec.updateStrategy", "sequential", "is not one of 'Parallel', 'Sequential'"),
    (storm_service, f"{POD}.restartPolicy", "ExitCode", "'ExitCode' is not one of 'Always', 'OnFailure', 'Never'"),
    (storm_service, "apiVersion", "orchestration.aibrix.ai/v1", "no schema for kind 'StormService'"),
    (storm_service, "kind", ["StormService"], "no schema for kind a list"),
    (storm_service, "spec.selector", {}, "spec.selector is empty"),
    (storm_service, "metadata.labels.a b", "x", "the key 'a b' of metadata.labels has the wrong form"),
    (storm_service, "metadata.labels.a", "x" * 64, "has 64 characters, the limit is 63"),
    (storm_service, "metadata.labels.a", "x/y", "labels.a 'x/y' has the wrong form"),
    (storm_service, "metadata.name", "1qwen", "metadata.name '1qwen' has the wrong form"),
    (storm_service, "metadata.name", "qwen\n", r"metadata.name 'qwen\n' has the wrong form"),
    (
        storm_service,
        f"{ROLE}.schedulingStrategy",
        {"volcanoSchedulingStrategy": {"minMember": 1}, "coschedulingSchedulingStrategy": {"minMember": 1}},
        "schedulingStrategy has 2 fields, the limit is 1",
    ),
    (service, "spec.type", "ClusterIp", "'ClusterIp' is not one of 'ClusterIP'"),
    (service, "spec.ports.0.port", 0, "port 0 is less than the minimum of 1"),
    (service, "spec.ports.0.port", 65536, "port 65536 is more than the maximum of 65535"),
    (service, "spec.ports.0.protocol", "tcp", "'tcp' is not one of 'TCP', 'UDP', 'SCTP'"),
    (kustomization, "resources.+", "service-a.yaml", "resources has the same item twice"),
    (kustomization, "resources", [], "resources is empty"),
    # what Go structs do not write back
    (storm_service, "spec.paused", False, "spec.paused is false"),
    (storm_service, f"{ROLE}.stateful", False, "roles[0].stateful is false"),
    (storm_service, f"{POD}.hostNetwork", False, "template.spec.hostNetwork is false"),
    (storm_service, f"{POD}.nodeSelector", {}, "nodeSelector is empty"),
    (storm_service, f"{POD}.tolerations", [], "tolerations is empty"),
    (storm_service, f"{CONTAINER}.args", [], "args is empty"),
    (storm_service, f"{CONTAINER}.env.0.value", "", "env[0].value is empty"),
    (storm_service, f"{CONTAINER}.readinessProbe.initialDelaySeconds", 0, "initialDelaySeconds 0 is less than"),
    (storm_service, f"{ROLE}.template.metadata.annotations", {}, "annotations is empty"),
    # list maps
    (storm_service, f"{CONTAINER}.env.+", {"name": "A", "value": "2"}, "env[2] repeats name 'A'"),
    (
        storm_service,
        f"{CONTAINER}.ports.+",
        {"containerPort": 8080, "protocol": "TCP"},
        "ports[2] repeats containerPort 8080, protocol",
    ),
    (storm_service, f"{CONTAINER}.ports.+", {"containerPort": 9999}, "ports[2].protocol is missing"),
    (storm_service, f"{CONTAINER}.volumeMounts.+", {"name": "x", "mountPath": "/dev/shm"}, "volumeMounts[1] repeats"),
    (storm_service, f"{POD}.volumes.+", {"name": "shm", "emptyDir": {}}, "volumes[1] repeats name 'shm'"),
    (storm_service, f"{POD}.containers.+", container("prefill"), "containers[1] repeats name 'prefill'"),
    (storm_service, "spec.template.spec.roles.+", role("decode", 1), "roles[2] repeats name 'decode'"),
    (service, "spec.ports.+", {"name": "x", "port": 8080}, "spec.ports[2] repeats port 8080, protocol 'TCP'"),
]


def test_a_config_map_holds_at_most_a_mebibyte() -> None:
    largest = "é" * (512 * 1024 - 2)
    assert check_manifest(put(config_map(), "data", {"a": largest, "b": "1234"})) == []
    (problem,) = check_manifest(put(config_map(), "data", {"a": largest, "b": "12345"}))
    assert problem.message == "data has 1048577 bytes, the limit is 1048576"


@pytest.mark.parametrize("make", VALID)
def test_a_valid_manifest_has_no_problem(make: Callable[[], Manifest]) -> None:
    assert check_manifest(make()) == []
    assert check_manifest(make()) == []


def _named(make: Callable[[], Manifest], path: str, value: object, message: str) -> str:
    return f"{path} gone" if value is DELETE else f"{path}={value!r:.30}"


@pytest.mark.parametrize(("make", "path", "value", "message"), WRONG, ids=[_named(*w) for w in WRONG])
def test_a_wrong_manifest_has_one_clear_problem(
    make: Callable[[], Manifest], path: str, value: Any, message: str
) -> None:
    assert check_manifest(make()) == []
    problems = check_manifest(put(make(), path, value))
    assert [p.message for p in problems if message in p.message], problems
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", 0),
        (f"{POD}.volumes.0.emptyDir", {}),
        (f"{POD}.securityContext", {}),
        ("metadata.labels.a", ""),
    ],
)
def test_zeros_that_pointers_and_map_values_keep_are_no_problem(path: str, value: Any) -> None:
    assert check_manifest(put(storm_service(), path, value)) == []


def test_the_problem_names_the_place() -> None:
    problem = check_manifest(put(storm_service(), f"{CONTAINER}.env.+", {"name": "A"}))[0]
    assert problem.path == ("spec", "template", "spec", "roles", 0, "template", "spec", "containers", 0, "env", 2)


def test_every_problem_is_reported_in_order_of_its_path() -> None:
    wrong = put(put(put(storm_service(), "spec.replicas", 0.5), f"{ROLE}.podGroupSize", 0), "metadata.x", 1)
    problems = check_manifest(wrong)
    assert [p.path[-1] for p in problems] == ["x", "replicas", "podGroupSize"]


@pytest.mark.parametrize("port", [{"port": 80, "protocol": "UDP"}, {"port": 81}])
def test_items_with_different_keys_are_different_items(port: Manifest) -> None:
    assert check_manifest(put(service(), "spec.ports", [{"port": 80}, port])) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_schema_is_what_the_generator_writes(name: str) -> None:
    committed = (generate.HERE / name).read_text(encoding="utf-8")
    assert committed == generated()[name], "run: python -m tools.schemas"


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_a_schema_and_closed_everywhere(name: str) -> None:
    document = json.loads(generated()[name])
    Draft202012Validator.check_schema(document)
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
            assert "description" not in node or isinstance(node["description"], dict)
            if node.get("type") == "object":
                assert node["additionalProperties"] is not True, node
        elif isinstance(node, list):
            waiting += node


def test_the_generator_writes_every_schema_that_the_check_reads() -> None:
    assert sorted(generated()) == NAMES


def test_every_row_of_the_tables_applies() -> None:
    carried = kubernetes.kubernetes_definitions()
    rows = [*kubernetes.ADDED, *kubernetes.REMOVED]
    assert [row for row in rows if row.split(".")[1] not in carried[row.split(".")[0]]["properties"]] == []
    rows += kubernetes.DROPPED_IF_ZERO
    reached = {name for text in generated().values() for name in json.loads(text)["$defs"]}
    assert {row.split(".")[0] for row in rows} | kubernetes.REQUIRED.keys() <= reached


@pytest.mark.parametrize("name", NAMES)
def test_the_patterns_are_those_of_every_engine(name: str) -> None:
    """RE2, as Go has it, knows no lookahead; the crate regex knows the same language."""
    jsonschema_rs.Draft202012Validator(json.loads(generated()[name]), pattern_options=jsonschema_rs.RegexOptions())


@pytest.mark.parametrize("twin", [True, 1.0])
def test_what_python_takes_for_one_is_not_one(twin: object) -> None:
    for value in (1, twin, 1, twin):
        problems = check_manifest(put(storm_service(), f"{ROLE}.podGroupSize", value))
        assert bool(problems) == (value is twin)
