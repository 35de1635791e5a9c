"""The engine's container beside its command line: volumes, variables, ports, probes, resources, launcher."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from stormc.model.app import App
from stormc.payload.objects import shared_objects
from tests.samples import app, compiled, container, pod, storm

VOLUMES = [
    ("{mountPath: /mnt/draft, hostPath: /data/draft, readOnly: true}",
     {"hostPath": {"path": "/data/draft"}}, {"mountPath": "/mnt/draft", "readOnly": True}),
    ("{mountPath: /pvc, persistentVolumeClaim: weights}",
     {"persistentVolumeClaim": {"claimName": "weights"}}, {"mountPath": "/pvc"}),
    ("{mountPath: /etc/mooncake.json, configMap: mooncake, subPath: mooncake.json}",
     {"configMap": {"name": "mooncake"}}, {"mountPath": "/etc/mooncake.json", "subPath": "mooncake.json"}),
    ("{mountPath: /token, secret: {secretName: t, defaultMode: 256}}",
     {"secret": {"secretName": "t", "defaultMode": 256}}, {"mountPath": "/token"}),
    ("{mountPath: /cache/, name: cache, emptyDir: {medium: Memory, sizeLimit: 1024Mi}}",
     {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}, {"mountPath": "/cache"}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "source", "mount"), VOLUMES)
@pytest.mark.parametrize("place", ["volumes: [%s]", "decode: {volumes: [%s]}"])
def test_volumes_of_app_and_role_are_mounted(
    place: str, written: str, source: dict[str, Any], mount: dict[str, Any]
) -> None:
    spec = pod(storm(place % written), "decode")["spec"]
    mounted = next(m for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == mount["mountPath"])
    name = mounted.pop("name")
    assert mounted == mount
    assert {"name": name, **source} in spec["volumes"]


def environment(overlay: str, role: str) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(storm(overlay), role)["env"]}


def test_environment_is_the_guides_and_the_users() -> None:
    overlay = "{engine: {env: {HCCL_BUFFSIZE: 256, A: a}}, decode: {env: {HCCL_BUFFSIZE: 600, MY_FLAG: 'on', A: null}}}"
    env = environment(overlay, "decode")
    assert (env["HCCL_BUFFSIZE"], env["MY_FLAG"], env["GLOO_SOCKET_IFNAME"]) == ("600", "on", "eth0")
    assert "A" not in env
    assert environment(overlay, "prefill")["HCCL_BUFFSIZE"] == "256"
    names = {"GLOO_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "HCCL_IF_IP", "POD_IP"}
    assert environment("{}", "prefill").keys() == names | {"ASCEND_VISIBLE_DEVICES"}


REFERENCES = [
    ("{secretKeyRef: {name: hf, key: token}}", {"secretKeyRef": {"name": "hf", "key": "token"}}),
    ("{configMapKeyRef: {name: c, key: k, optional: true}}",
     {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}),
    ("{fieldRef: {fieldPath: spec.nodeName}}", {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}),
    ("{resourceFieldRef: {resource: limits.cpu}}", {"resourceFieldRef": {"resource": "limits.cpu"}}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "rendered"), REFERENCES)
@pytest.mark.parametrize("place", ["engine: {env: {X: %s}}", "decode: {env: {X: %s}}"])
def test_variables_may_be_references(place: str, written: str, rendered: dict[str, Any]) -> None:
    assert environment(place % written, "decode")["X"] == rendered


def test_variables_of_the_image_are_extended_by_the_launcher() -> None:
    overlay = "decode: {env: {LD_LIBRARY_PATH: {prepend: /opt/lib}}}"
    assert "LD_LIBRARY_PATH" not in environment(overlay, "decode")
    args = container(storm(overlay), "decode")["args"]
    assert args[: args.index("--")] == ["--external-dp", "--prepend=LD_LIBRARY_PATH=/opt/lib"]


def test_the_host_network_leaves_the_interface_to_the_node() -> None:
    bare = environment("hostNetwork: true", "decode")
    assert not [name for name in bare if name.endswith("_IFNAME")]
    named = environment("{hostNetwork: true, decode: {interface: enp67s0f5}}", "decode")
    assert {value for name, value in named.items() if name.endswith("_IFNAME")} == {"enp67s0f5"}
    spec = pod(storm("decode: {hostNetwork: true}"), "decode")["spec"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert "hostNetwork" not in pod(storm("decode: {hostNetwork: true}"), "prefill")["spec"]


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


PROBES = ("startupProbe", "readinessProbe")


@pytest.mark.parametrize("probe", PROBES)
def test_probes_ask_the_first_local_rank(probe: str) -> None:
    for overlay, role in (("{}", "decode"), ("prefill: {distributedDp: false}", "prefill")):
        assert container(storm(overlay), role)[probe]["httpGet"] == {"path": "/health", "port": 8080}


class Health(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def health_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(("index", "status", "well"), [
    ("0", 200, True), ("0", 503, False), ("0", None, False), ("1", None, True), ("15", 503, True),
])  # fmt: skip
def test_where_only_the_first_pod_serves_only_it_is_asked(
    probe: str, index: str, status: int | None, well: bool, health_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if status is None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
    else:
        monkeypatch.setattr(Health, "status", status)
        port = health_port
    overlay = f"{{port: {port}, decode: {{distributedDp: false}}}}"
    command = container(storm(overlay), "decode")[probe]["exec"]["command"]
    env = {"POD_GROUP_INDEX": index, "POD_IP": "127.0.0.1"}
    assert (subprocess.run(command, env=env, stderr=subprocess.DEVNULL, timeout=300).returncode == 0) is well


MODEL_VOLUMES = [
    ("{}", {"hostPath": {"path": "/mnt/models", "type": "Directory"}}, "/mnt/models"),
    ("model: {volume: {hostPath: /data/w}}", {"hostPath": {"path": "/data/w", "type": "Directory"}}, "/mnt/models"),
    ("model: {volume: {persistentVolumeClaim: w}}", {"persistentVolumeClaim": {"claimName": "w"}}, "/mnt/models"),
]


@pytest.mark.parametrize(("overlay", "source", "mount"), MODEL_VOLUMES)
def test_the_model_comes_from_a_claim_or_a_directory(overlay: str, source: dict[str, Any], mount: str) -> None:
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
def test_gateway_labels_stand_on_the_pods_that_the_spec_names(overlay: str, roles: set[str], port: str) -> None:
    service = storm(overlay)
    for name in ("prefill", "decode", "routing"):
        labels = pod(service, name).get("metadata", {}).get("labels", {})
        present = {key: value for key, value in labels.items() if key.startswith("model.aibrix.ai/")}
        wanted = {"name": "qwen3-moe", "port": port, "engine": "vllm"} if name in roles else {}
        assert present == {f"model.aibrix.ai/{key}": value for key, value in wanted.items()}


def test_resources_and_pull_policy() -> None:
    overlay = "{imagePullPolicy: IfNotPresent, decode: {image: 'other:1', resources: {cpu: 0.5, memory: 1024Mi}}}"
    with pytest.raises(AssertionError):
        app(overlay)  # a float is no quantity: the spec must quote it
    engine = container(storm(overlay.replace("0.5", "'0.5'")), "decode")
    assert (engine["image"], engine["imagePullPolicy"]) == ("other:1", "IfNotPresent")
    npus = {"huawei.com/Ascend910": "16"}
    assert engine["resources"] == {kind: {"cpu": "500m", "memory": "1Gi", **npus} for kind in ("limits", "requests")}


def test_layout_properties_agree_with_ports() -> None:
    model: App = app()
    assert [p.ports for p in model.serving_pods if p.role == "prefill"] == [(8080, 8081), (8080, 8081)]


def test_the_launcher_travels_in_a_config_map_of_a_constant_name() -> None:
    (launcher,) = shared_objects(app().payload, "inference", ("stormc-launcher",))
    assert launcher["data"] == app().payload.launcher.read() and launcher["data"].keys() == {"launch.py"}
    for name in ("prefill", "decode"):
        only = container(storm(), name)
        assert only["command"] == ["python3", "/opt/stormc/launcher/launch.py"]
        volume = next(v for v in pod(storm(), name)["spec"]["volumes"] if v["name"] == "launcher")
        assert volume["configMap"] == {"name": "stormc-launcher"}
        assert {"name": "launcher", "mountPath": "/opt/stormc/launcher", "readOnly": True} in only["volumeMounts"]


def test_the_users_command_takes_the_place_of_the_launcher() -> None:
    overlay = "engine: {command: [bash, -c, 'exec my-engine']}"
    engine = container(storm(overlay), "decode")
    assert engine["command"] == ["bash", "-c", "exec my-engine"]
    assert "args" not in engine
    assert "launcher" not in {v["name"] for v in pod(storm(overlay), "decode")["spec"]["volumes"]}
    assert "qwen3-moe-launcher" not in {m["metadata"]["name"] for m in compiled(overlay).manifests}


def test_a_script_gets_the_environment_of_the_deploy_tool() -> None:
    overlay = "{engine: {script: {hostPath: /scripts, command: bash start_server.sh}}, decode: {distributedDp: false}}"
    service = storm(overlay)
    engine = container(service, "decode")
    assert (engine["command"], engine["workingDir"]) == (["/bin/bash", "-c", "bash start_server.sh"], "/scripts")
    assert {"name": "script", "mountPath": "/scripts", "readOnly": True} in engine["volumeMounts"]
    env = {entry["name"]: entry.get("value") for entry in engine["env"]}
    expected = {
        "DISTRIBUTED_DP": "false", "PREFILL_DP_SIZE": "2", "PREFILL_TP_SIZE": "8", "DECODE_DP_SIZE": "32",
        "DECODE_TP_SIZE": "1", "PREFILL_NUM": "2", "DECODE_NUM": "1", "MODEL_NAME": "qwen3-moe",
        "MODEL_PATH": "/mnt/models/Qwen3-30B-A3B",
    }  # fmt: skip
    assert expected.items() <= env.items()
    assert "POD_IP" in env
    routing = {entry["name"]: entry.get("value") for entry in container(service, "routing")["env"]}
    shared = {**expected, "DISTRIBUTED_DP": "true"}  # of either role: the prefill ranks have ports of their own
    assert {**shared, "PREFILL_POD": "1", "DECODE_POD": "2"}.items() <= routing.items()
    assert "POD_IP" in routing


@pytest.mark.parametrize(("seconds", "attempts"), [(1800, 180), (60, 6), (3601, 361)])
def test_a_model_has_time_to_load(seconds: int, attempts: int) -> None:
    probe = container(storm(f"engine: {{startupSeconds: {seconds}}}"), "prefill")["startupProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (10, attempts)
