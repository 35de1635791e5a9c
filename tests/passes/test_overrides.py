from __future__ import annotations

from typing import Any

import pytest

from stormc.compile.compilation import Stage
from stormc.model.app import Ref
from stormc.targets.storm_service import role_path
from tests.samples import compilation, compiled, findings, manifest, outcome

STORM = Ref("StormService", "qwen3-moe")


def patched(target: str, patch: str) -> Any:
    result = compiled(f"overrides: [{{target: {target}, patch: {patch}, reason: because, owner: me}}]")
    kind, _, name = target.partition("/")
    return manifest(result, kind, name or "qwen3-moe")


PATCHES: list[tuple[str, str, tuple[str | int, ...], Any]] = [
    ("StormService", "{spec: {paused: true}}", ("spec", "paused"), True),
    ("StormService", "{spec: {replicas: 2}}", ("spec", "replicas"), 2),
    ("StormService", "{spec: {updateStrategy: {maxUnavailable: 1}}}", ("spec", "updateStrategy"),
     {"type": "InPlaceUpdate", "maxUnavailable": 1}),
    ("StormService", "{spec: {updateStrategy: null}}", ("spec", "updateStrategy"), KeyError),
    ("StormService", "{spec: {template: {spec: {roles: [{name: decode, upgradeOrder: 9}]}}}}",
     ("spec", "template", "spec", "roles", 1, "upgradeOrder"), 9),
    ("Service/qwen3-moe-router", "{spec: {type: NodePort}}", ("spec", "type"), "NodePort"),
    ("Service/qwen3-moe-router", "{spec: {ports: [{port: 8080, protocol: TCP, nodePort: 30080}]}}",
     ("spec", "ports", 0),
     {"name": "http", "port": 8080, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080}),
    ("Service/qwen3-moe-router", "{metadata: {annotations: {lb: internal}}}", ("metadata", "annotations"),
     {"lb": "internal"}),
]  # fmt: skip


@pytest.mark.parametrize(("target", "patch", "path", "value"), PATCHES)
def test_patches_merge_as_kubectl_does(target: str, patch: str, path: tuple[str | int, ...], value: Any) -> None:
    node: Any = patched(target, patch)
    for step in path[:-1]:
        node = node[step]
    if value is KeyError:
        assert path[-1] not in node
    else:
        assert node[path[-1]] == value


def test_containers_merge_by_name_and_quantities_become_canonical() -> None:
    patch = (
        "{spec: {template: {spec: {roles: [{name: routing, template: {spec: {containers: "
        "[{name: router, resources: {limits: {cpu: 2000m}}, env: [{name: NEW, value: x}]}, "
        "{name: sidecar, image: 'side:1'}]}}}]}}}}"
    )
    roles = patched("StormService", patch)["spec"]["template"]["spec"]["roles"]
    router, sidecar = roles[2]["template"]["spec"]["containers"]
    assert router["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert router["env"][-1] == {"name": "NEW", "value": "x"}
    assert router["image"] == "vllm-ascend:v0.12.0rc1"
    assert sidecar == {"name": "sidecar", "image": "side:1"}


def test_the_origin_names_owner_and_reason() -> None:
    text = "overrides: [{target: StormService, patch: {spec: {paused: true}}, reason: freeze, owner: ops}]"
    origins = compilation(text, None, Stage.MANIFESTS).origins()
    (origin,) = origins.of(STORM, ("spec", "paused"))
    assert origin.writer == "overrides"
    assert origin.because.fields == (("overrides", 0, "patch", "spec", "paused"),)
    assert origin.because.source == "freeze (ops)"
    assert [written.writer for written in origins.of(STORM, role_path("decode", "replicas"))] == ["workload"]


WRONG = [
    "{spec: {replicas: two}}",
    "{spec: {nonsense: 1}}",
    "{spec: {template: 5}}",
    "{spec: {template: {spec: {roles: 5}}}}",
    "{spec: {template: {spec: {roles: {a: 1}}}}}",
    "{spec: {template: {spec: {roles: [[1]]}}}}",
    "{spec: {template: {spec: {roles: [{name: decode, podGroupSize: 101}]}}}}",
    "{spec: {selector: null}}",
    "{spec: null}",
    "{spec: {replicas: 1.5}}",
    "{metadata: {labels: {a: 1}}}",
]


@pytest.mark.parametrize("patch", WRONG)
def test_what_the_api_server_refuses_is_a_finding(patch: str) -> None:
    result = outcome(f"overrides: [{{target: StormService, patch: {patch}, reason: r, owner: o}}]")
    assert {f.rule for f in result.findings} == {"E501"}
    assert result.files is None


def test_two_overrides_apply_in_order() -> None:
    one = "{target: StormService, patch: {spec: {paused: true}}, reason: r, owner: o}"
    result = compiled(f"overrides: [{one}, {one.replace('true', 'false')}]")
    assert manifest(result, "StormService", "qwen3-moe")["spec"]["paused"] is False
    assert not findings(f"overrides: [{one}]")
