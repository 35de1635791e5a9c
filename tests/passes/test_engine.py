from __future__ import annotations

import json
from typing import Any

import pytest

from compiler.spec.app import App
from tests.samples import app, container, pod, storm


def arguments(overlay: str, role: str) -> dict[str, str | None]:
    """The vLLM flags of a role as flag → value, None for a switch."""
    args = container(storm(overlay), role)["args"]
    assert args[:3] == ["vllm", "serve", "/mnt/models/Qwen3-30B-A3B"]
    return {flag: value if eq else None for flag, eq, value in (arg.partition("=") for arg in args[3:])}


FLAGS = [
    ("{}", "prefill", "--tensor-parallel-size", "8"),
    ("{}", "prefill", "--data-parallel-size", "2"),
    ("{}", "prefill", "--enforce-eager", None),
    ("{}", "prefill", "--data-parallel-rpc-port", "13389"),
    ("{}", "decode", "--max-num-seqs", "16"),
    ("{}", "decode", "--served-model-name", "qwen3-moe"),
    ("{}", "decode", "--compilation-config", '{"cudagraph_mode":"FULL_DECODE_ONLY"}'),
    ("expertParallel: true", "decode", "--enable-expert-parallel", None),
    ("decode: {engineArgs: {max-num-seqs: 64}}", "decode", "--max-num-seqs", "64"),
    ("decode: {engineArgs: {quantization: ascend}}", "decode", "--quantization", "ascend"),
    ("decode: {engineArgs: {additional-config: {b: 1, a: [x]}}}", "decode", "--additional-config", '{"a":["x"],"b":1}'),
    ("decode: {distributedDp: false}", "decode", "--data-parallel-size-local", "16"),
    ("decode: {distributedDp: false}", "decode", "--data-parallel-rpc-port", "5964"),
]


@pytest.mark.parametrize(("overlay", "role", "flag", "value"), FLAGS)
def test_flags(overlay: str, role: str, flag: str, value: str | None) -> None:
    flags = arguments(overlay, role)
    assert flag in flags
    assert flags[flag] == value


ABSENT = [
    ("{}", "prefill", "--enable-expert-parallel"),
    ("{}", "prefill", "--max-num-seqs"),
    ("{}", "decode", "--enforce-eager"),
    ("{}", "decode", "--data-parallel-size-local"),
    ("prefill: {engineArgs: {enforce-eager: null}}", "prefill", "--enforce-eager"),
    ("prefill: {engineArgs: {trust-remote-code: false}}", "prefill", "--trust-remote-code"),
    ("prefill: {dataParallel: 1, tensorParallel: 16}", "prefill", "--data-parallel-size"),
]


@pytest.mark.parametrize(("overlay", "role", "flag"), ABSENT)
def test_absent_flags(overlay: str, role: str, flag: str) -> None:
    assert flag not in arguments(overlay, role)


@pytest.mark.parametrize("connector", ["MooncakeLayerwiseConnector", "MooncakeConnectorV1"])
def test_kv_transfer_configs_agree(connector: str) -> None:
    overlay = f"kvTransfer: {{connector: {connector}}}"
    configs = [json.loads(arguments(overlay, role)["--kv-transfer-config"] or "") for role in ("prefill", "decode")]
    assert [config.pop("kv_role") for config in configs] == ["kv_producer", "kv_consumer"]
    assert configs[0] == configs[1] == {
        "kv_connector": connector,
        "kv_port": "36000",
        "kv_connector_extra_config": {"prefill": {"dp_size": 2, "tp_size": 8}, "decode": {"dp_size": 32, "tp_size": 1}},
    }  # fmt: skip


def test_kv_port_comes_from_the_profile_unless_given() -> None:
    assert app("hardware: atlas-800i-a2").kv_port == 28000
    assert app("kvTransfer: {port: 30100}").kv_port == 30100


def environment(overlay: str, role: str) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(storm(overlay), role)["env"]}


def test_environment_is_the_guides_and_the_users() -> None:
    env = environment("decode: {env: {HCCL_BUFFSIZE: 600, MY_FLAG: 'on'}}", "decode")
    assert (env["HCCL_BUFFSIZE"], env["MY_FLAG"], env["OMP_PROC_BIND"]) == ("600", "on", "false")
    assert environment("{}", "prefill")["HCCL_BUFFSIZE"] == "256"


@pytest.mark.parametrize("name", ["HCCL_IF_IP", "POD_IP"])
def test_values_of_the_pod_are_field_references(name: str) -> None:
    assert environment("{}", "decode")[name] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}


def test_no_environment_value_refers_to_another() -> None:
    for role in ("prefill", "decode"):
        assert not [value for value in environment("{}", role).values() if "$(" in str(value)]


PORTS = [
    ("{}", "prefill", [8080, 8081]),
    ("{}", "decode", list(range(8080, 8096))),
    ("port: 9000", "prefill", [9000, 9001]),
    ("decode: {distributedDp: false}", "decode", [8080]),
]


@pytest.mark.parametrize(("overlay", "role", "ports"), PORTS)
def test_one_port_per_local_rank(overlay: str, role: str, ports: list[int]) -> None:
    entries = container(storm(overlay), role)["ports"]
    assert [entry["containerPort"] for entry in entries] == ports
    assert {entry["protocol"] for entry in entries} == {"TCP"}


def test_probes_only_where_every_pod_answers() -> None:
    assert container(storm(), "decode")["startupProbe"]["httpGet"] == {"path": "/health", "port": 8080}
    assert container(storm(), "decode")["readinessProbe"]["httpGet"] == {"path": "/health", "port": 8080}
    headless = container(storm("decode: {distributedDp: false}"), "decode")
    assert "startupProbe" not in headless
    assert "readinessProbe" not in headless
    assert "readinessProbe" in container(storm("prefill: {distributedDp: false}"), "prefill")


VOLUMES = [
    ("{}", {"hostPath": {"path": "/mnt/models", "type": "Directory"}}, "/mnt/models"),
    ("model: {volume: {hostPath: /data/w}}", {"hostPath": {"path": "/data/w", "type": "Directory"}}, "/mnt/models"),
    ("model: {volume: {persistentVolumeClaim: w}}", {"persistentVolumeClaim": {"claimName": "w"}}, "/mnt/models"),
    ("model: {path: /weights/}", {"hostPath": {"path": "/", "type": "Directory"}}, "/"),
]


@pytest.mark.parametrize(("overlay", "source", "mount"), VOLUMES)
def test_model_volume(overlay: str, source: dict[str, Any], mount: str) -> None:
    service = storm(overlay)
    volume = next(v for v in pod(service, "decode")["spec"]["volumes"] if v["name"] == "model")
    assert volume == {"name": "model", **source}
    mounts = {m["name"]: m for m in container(service, "decode")["volumeMounts"]}
    assert mounts["model"] == {"name": "model", "mountPath": mount, "readOnly": True}


GATEWAY = [
    ("{}", {"prefill", "decode"}, "8080"),
    ("{gateway: router, proxy: {port: 9090}}", {"routing"}, "9090"),
    ("gateway: 'off'", set(), ""),
]


@pytest.mark.parametrize(("overlay", "roles", "port"), GATEWAY)
def test_gateway_labels(overlay: str, roles: set[str], port: str) -> None:
    service = storm(overlay)
    for name in ("prefill", "decode", "routing"):
        labels = pod(service, name).get("metadata", {}).get("labels", {})
        found = {key: value for key, value in labels.items() if key.startswith("model.aibrix.ai/")}
        wanted = {"name": "qwen3-moe", "port": port, "engine": "vllm"} if name in roles else {}
        assert found == {f"model.aibrix.ai/{key}": value for key, value in wanted.items()}


def test_resources_and_pull_policy() -> None:
    overlay = "{imagePullPolicy: IfNotPresent, decode: {image: 'other:1', resources: {cpu: 0.5, memory: 1024Mi}}}"
    with pytest.raises(AssertionError):
        app(overlay)  # a float is no quantity: the spec must quote it
    made = container(storm(overlay.replace("0.5", "'0.5'")), "decode")
    assert (made["image"], made["imagePullPolicy"]) == ("other:1", "IfNotPresent")
    npus = {"huawei.com/Ascend910": "16"}
    assert made["resources"] == {kind: {"cpu": "500m", "memory": "1Gi", **npus} for kind in ("limits", "requests")}


def test_layout_properties_agree_with_ports() -> None:
    made: App = app()
    assert [p.ports for p in made.serving_pods if p.role == "prefill"] == [(8080, 8081), (8080, 8081)]
