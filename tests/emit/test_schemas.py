"""The schemas of rendered manifests: never stale, strict, and both judges of them agree."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stormc.emit import schema_check
from stormc.emit.schema_check import check_manifest, holds
from stormc.emit.schema_words import problems_of, strict
from tools import schemas as generate

Manifest = dict[str, Any]


def _container(name: str) -> Manifest:
    return {
        "name": name,
        "image": "vllm-ascend:v0.12.0rc1",
        "command": ["/bin/bash"],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        ],
        "ports": [
            {"name": "rank-0", "containerPort": 8080, "protocol": "TCP"},
            {"name": "rank-1", "containerPort": 8081, "protocol": "TCP"},
        ],
        "resources": {"limits": {"huawei.com/Ascend910": "16", "memory": "64Gi", "cpu": "500m"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 5},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }


def _role(name: str, size: int) -> Manifest:
    return {
        "name": name,
        "replicas": 2,
        "stateful": True,
        "podGroupSize": size,
        "upgradeOrder": 1,
        "updateStrategy": {"maxUnavailable": 1},
        "template": {
            "metadata": {"labels": {"fault-scheduling": "force"}, "annotations": {"sp-block": "16"}},
            "spec": {
                "schedulerName": "volcano",
                "nodeSelector": {"accelerator-type": "module-a3-16-super-pod"},
                "tolerations": [{"key": "npu", "operator": "Exists"}],
                "restartPolicy": "Never",
                "containers": [_container(name)],
                "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}}],
            },
        },
    }


def _storm_service() -> Manifest:
    return {
        "apiVersion": "orchestration.aibrix.ai/v1alpha1",
        "kind": "StormService",
        "metadata": {"name": "qwen3", "namespace": "inference", "labels": {"app.kubernetes.io/name": "qwen3"}},
        "spec": {
            "replicas": 1,
            "stateful": True,
            "updateStrategy": {"type": "InPlaceUpdate"},
            "selector": {"matchLabels": {"stormc.dev/app": "inference.qwen3"}},
            "template": {
                "metadata": {"labels": {"stormc.dev/app": "inference.qwen3"}},
                "spec": {"updateStrategy": "Sequential", "roles": [_role("prefill", 1), _role("decode", 2)]},
            },
        },
    }


def _service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "qwen3-prefill-0", "namespace": "inference"},
        "spec": {
            "type": "ClusterIP",
            "selector": {"role-name": "prefill"},
            "ports": [
                {"name": "rank-0", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
                {"name": "rank-1", "port": 8081, "targetPort": "rank-1", "protocol": "TCP"},
            ],
        },
    }


def _config_map() -> Manifest:
    metadata = {"name": "qwen3-proxy", "namespace": "inference"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.json": "{}\n"}}


def _kustomization() -> Manifest:
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {**kind, "resources": ["service-a.yaml", "service-b.yaml"]}


VALID: list[Callable[[], Manifest]] = [_storm_service, _service, _config_map, _kustomization]
NAMES = sorted(schema_check.SCHEMAS.values())
DELETE = object()
ROLE = "spec.template.spec.roles.0"
POD = f"{ROLE}.template.spec"
CONTAINER = f"{POD}.containers.0"


def _put(manifest: Manifest, path: str, value: Any) -> Manifest:
    """Sets or deletes the value at a dotted path; a step of a list is its index, `+` appends. `~` stands for a dot."""
    node: Any = manifest
    steps = [step.replace("~", ".") for step in path.split(".")]
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    if value is DELETE:
        del node[int(steps[-1]) if isinstance(node, list) else steps[-1]]
    elif steps[-1] == "+":
        node.append(value)
    else:
        node[int(steps[-1]) if isinstance(node, list) else steps[-1]] = value
    return manifest


WRONG: list[tuple[Callable[[], Manifest], str, Any, str]] = [
    # unknown and missing fields
    (_storm_service, "spec.replica", 1, "spec.replica is not a known field, did you mean replicas?"),
    (_storm_service, "status", {}, "status is not a known field"),
    (_storm_service, "metadata.uid", "x", "metadata.uid is not a known field"),
    (_storm_service, "metadata.ownerReferences", [], "metadata.ownerReferences is not a known field"),
    (_storm_service, f"{ROLE}.dependencies", [], f"{'spec.template.spec.roles[0]'}.dependencies is not a known field"),
    (_storm_service, f"{ROLE}.updateStrategy.type", "Recreate", "updateStrategy.type is not a known field"),
    (_storm_service, f"{ROLE}.template.metadata.ownerReferences", [], "metadata.ownerReferences is not a known field"),
    (_storm_service, f"{POD}.resources", {}, "template.spec.resources is not a known field"),
    (_storm_service, f"{POD}.hostnameOverride", "x", "template.spec.hostnameOverride is not a known field"),
    (_storm_service, f"{POD}.ephemeralContainers", [], "ephemeralContainers is not a known field"),
    (_storm_service, f"{CONTAINER}.restartPolicyRules", [], "containers[0].restartPolicyRules is not a known field"),
    (_storm_service, "spec.selector", DELETE, "spec.selector is missing"),
    (_storm_service, "spec.template", DELETE, "spec.template is missing"),
    (_storm_service, "spec.replicas", DELETE, "spec.replicas is missing"),
    (_storm_service, f"{ROLE}.replicas", DELETE, "roles[0].replicas is missing"),
    (_storm_service, f"{POD}.containers", DELETE, "template.spec.containers is missing"),
    (_storm_service, f"{CONTAINER}.name", DELETE, "containers[0].name is missing"),
    (_storm_service, f"{CONTAINER}.image", DELETE, "containers[0].image is missing"),
    (_storm_service, "metadata.namespace", DELETE, "metadata.namespace is missing"),
    (_service, "spec.prots", [], "spec.prots is not a known field, did you mean ports?"),
    (_service, "spec.ports.0.port", DELETE, "spec.ports[0].port is missing"),
    (_config_map, "spec", {}, "spec is not a known field"),
    (_kustomization, "namespace", "x", "namespace is not a known field"),
    (_kustomization, "resources", DELETE, "resources is missing"),
    # types
    (_storm_service, "spec.replicas", "1", "spec.replicas must be an integer, got '1'"),
    (_storm_service, "spec.replicas", True, "spec.replicas must be an integer, got true"),
    (_storm_service, "spec.replicas", 1.0, "spec.replicas must be an integer, got 1.0"),
    (_storm_service, "spec.replicas", None, "spec.replicas must not be null"),
    (_storm_service, "spec.paused", None, "spec.paused must not be null"),
    (_storm_service, "spec.stateful", "true", "spec.stateful must be true or false, got 'true'"),
    (_storm_service, f"{CONTAINER}.args", [1], "args[0] must be a string, got 1"),
    (_storm_service, f"{CONTAINER}.args", "x", "args must be a list, got 'x'"),
    (_storm_service, f"{CONTAINER}.env.0.value", 1, "env[0].value must be a string, got 1"),
    (_storm_service, f"{CONTAINER}.resources.limits.huawei~com/Ascend910", 16, "must be a string, got 16"),
    (_storm_service, f"{CONTAINER}.resources.limits.cpu", "1e", "limits.cpu '1e' has the wrong form"),
    (_storm_service, f"{CONTAINER}.resources.limits.cpu", "0.5", "limits.cpu '0.5' has the wrong form"),
    (_storm_service, f"{CONTAINER}.resources.limits.cpu", "1\n", r"limits.cpu '1\n' has the wrong form"),
    (_storm_service, f"{POD}.volumes.0.emptyDir.sizeLimit", 1, "emptyDir.sizeLimit must be a string, got 1"),
    (_storm_service, f"{CONTAINER}.readinessProbe.httpGet.port", 1.5, "must be an integer or a string, got 1.5"),
    (_storm_service, f"{ROLE}.template.metadata.labels.x", 1, "labels.x must be a string, got 1"),
    (_storm_service, f"{ROLE}.template.metadata.annotations.x", None, "annotations.x must not be null"),
    (_storm_service, f"{ROLE}.template.metadata.annotations", {1: "x"}, "has a key that is not a string"),
    (_config_map, "data.config~json", {}, "data.config.json must be a string, got a mapping"),
    # values
    (_storm_service, f"{ROLE}.podGroupSize", 0, "podGroupSize 0 is less than the minimum of 1"),
    (_storm_service, f"{ROLE}.podGroupSize", 101, "podGroupSize 101 is more than the maximum of 100"),
    (_storm_service, f"{ROLE}.upgradeOrder", 0, "upgradeOrder 0 is less than the minimum of 1"),
    (_storm_service, f"{ROLE}.replicas", -1, "replicas -1 is less than the minimum of 0"),
    (_storm_service, f"{ROLE}.name", "Prefill", "roles[0].name 'Prefill' has the wrong form"),
    (_storm_service, "spec.updateStrategy.type", "Rolling", "'Rolling' is not one of 'RollingUpdate', 'InPlaceUpdate'"),
    (_storm_service, "spec.template.spec.updateStrategy", "sequential", "is not one of 'Parallel', 'Sequential'"),
    (_storm_service, f"{POD}.restartPolicy", "ExitCode", "'ExitCode' is not one of 'Always', 'OnFailure', 'Never'"),
    (_storm_service, "apiVersion", "orchestration.aibrix.ai/v1", "no schema for kind 'StormService'"),
    (_storm_service, "kind", ["StormService"], "no schema for kind a list"),
    (_storm_service, "spec.selector", {}, "spec.selector is empty"),
    (_storm_service, "metadata.labels.a b", "x", "the key 'a b' of metadata.labels has the wrong form"),
    (_storm_service, "metadata.labels.a", "x" * 64, "has 64 characters, the limit is 63"),
    (_storm_service, "metadata.labels.a", "x/y", "labels.a 'x/y' has the wrong form"),
    (_storm_service, "metadata.name", "1qwen", "metadata.name '1qwen' has the wrong form"),
    (_storm_service, "metadata.name", "qwen\n", r"metadata.name 'qwen\n' has the wrong form"),
    (
        _storm_service,
        f"{ROLE}.schedulingStrategy",
        {"volcanoSchedulingStrategy": {"minMember": 1}, "coschedulingSchedulingStrategy": {"minMember": 1}},
        "schedulingStrategy has 2 fields, the limit is 1",
    ),
    (_service, "spec.type", "ClusterIp", "'ClusterIp' is not one of 'ClusterIP'"),
    (_service, "spec.ports.0.port", 0, "port 0 is less than the minimum of 1"),
    (_service, "spec.ports.0.port", 65536, "port 65536 is more than the maximum of 65535"),
    (_service, "spec.ports.0.protocol", "tcp", "'tcp' is not one of 'TCP', 'UDP', 'SCTP'"),
    (_kustomization, "resources.+", "service-a.yaml", "resources has the same item twice"),
    (_kustomization, "resources", [], "resources is empty"),
    # what Go structs do not write back
    (_storm_service, "spec.paused", False, "spec.paused is false"),
    (_storm_service, f"{ROLE}.stateful", False, "roles[0].stateful is false"),
    (_storm_service, f"{POD}.hostNetwork", False, "template.spec.hostNetwork is false"),
    (_storm_service, f"{POD}.nodeSelector", {}, "nodeSelector is empty"),
    (_storm_service, f"{POD}.tolerations", [], "tolerations is empty"),
    (_storm_service, f"{CONTAINER}.args", [], "args is empty"),
    (_storm_service, f"{CONTAINER}.env.0.value", "", "env[0].value is empty"),
    (_storm_service, f"{CONTAINER}.readinessProbe.initialDelaySeconds", 0, "initialDelaySeconds 0 is less than"),
    (_storm_service, f"{ROLE}.template.metadata.annotations", {}, "annotations is empty"),
    # list maps
    (_storm_service, f"{CONTAINER}.env.+", {"name": "A", "value": "2"}, "env[2] repeats name 'A'"),
    (
        _storm_service,
        f"{CONTAINER}.ports.+",
        {"containerPort": 8080, "protocol": "TCP"},
        "ports[2] repeats containerPort 8080, protocol",
    ),
    (_storm_service, f"{CONTAINER}.ports.+", {"containerPort": 9999}, "ports[2].protocol is missing"),
    (_storm_service, f"{CONTAINER}.volumeMounts.+", {"name": "x", "mountPath": "/dev/shm"}, "volumeMounts[1] repeats"),
    (_storm_service, f"{POD}.volumes.+", {"name": "shm", "emptyDir": {}}, "volumes[1] repeats name 'shm'"),
    (_storm_service, f"{POD}.containers.+", _container("prefill"), "containers[1] repeats name 'prefill'"),
    (_storm_service, "spec.template.spec.roles.+", _role("decode", 1), "roles[2] repeats name 'decode'"),
    (_service, "spec.ports.+", {"name": "x", "port": 8080}, "spec.ports[2] repeats port 8080, protocol 'TCP'"),
]


def test_a_config_map_holds_at_most_a_mebibyte() -> None:
    largest = "é" * (512 * 1024 - 2)
    assert check_manifest(_put(_config_map(), "data", {"a": largest, "b": "1234"})) == []
    (problem,) = check_manifest(_put(_config_map(), "data", {"a": largest, "b": "12345"}))
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
    problems = check_manifest(_put(make(), path, value))
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
    assert check_manifest(_put(_storm_service(), path, value)) == []


def test_the_problem_names_the_place() -> None:
    problem = check_manifest(_put(_storm_service(), f"{CONTAINER}.env.+", {"name": "A"}))[0]
    assert problem.path == ("spec", "template", "spec", "roles", 0, "template", "spec", "containers", 0, "env", 2)


def test_every_problem_is_reported_in_order_of_its_path() -> None:
    wrong = _put(_put(_put(_storm_service(), "spec.replicas", 0.5), f"{ROLE}.podGroupSize", 0), "metadata.x", 1)
    problems = check_manifest(wrong)
    assert [p.path[-1] for p in problems] == ["x", "replicas", "podGroupSize"]


@pytest.mark.parametrize("port", [{"port": 80, "protocol": "UDP"}, {"port": 81}])
def test_items_with_different_keys_are_different_items(port: Manifest) -> None:
    assert check_manifest(_put(_service(), "spec.ports", [{"port": 80}, port])) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_schema_is_what_the_generator_writes(name: str) -> None:
    committed = (generate.HERE / name).read_text(encoding="utf-8")
    assert committed == generate.generated()[name], "run: python -m tools.schemas"


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_a_schema_and_closed_everywhere(name: str) -> None:
    document = json.loads(generate.generated()[name])
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
    assert sorted(generate.generated()) == NAMES


def test_every_row_of_the_tables_applies() -> None:
    carried = generate._definitions()
    rows = [*generate.ADDED, *generate.REMOVED]
    assert [row for row in rows if row.split(".")[1] not in carried[row.split(".")[0]]["properties"]] == []
    rows += generate.DROPPED_IF_ZERO
    reached = {name for text in generate.generated().values() for name in json.loads(text)["$defs"]}
    assert {row.split(".")[0] for row in rows} | generate.REQUIRED.keys() <= reached


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
def test_the_quick_judge_and_the_one_with_words_agree(mutants: tuple[str, list[Manifest]]) -> None:
    name, manifests = mutants
    for manifest in manifests:
        problems = problems_of(strict(name), manifest)
        assert holds(name, manifest) == (not problems)
        if not STOCK[name].is_valid(manifest):
            assert problems


@pytest.mark.parametrize("name", NAMES)
def test_the_patterns_are_those_of_every_engine(name: str) -> None:
    """RE2, as Go has it, knows no lookahead; the crate regex knows the same language."""
    jsonschema_rs.Draft202012Validator(
        json.loads(generate.generated()[name]), pattern_options=jsonschema_rs.RegexOptions()
    )


@pytest.mark.parametrize("twin", [True, 1.0])
def test_what_python_takes_for_one_is_not_one(twin: object) -> None:
    for value in (1, twin, 1, twin):
        problems = check_manifest(_put(_storm_service(), f"{ROLE}.podGroupSize", value))
        assert bool(problems) == (value is twin)
