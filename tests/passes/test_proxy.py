from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stormc.model.proxy_fields import PROXY
from stormc.payload.objects import shared_objects
from stormc.payload.read import key_of
from stormc_proxy import settings
from stormc_proxy.options import CONFIG_KEYS, FIXED_AT_START
from tests.samples import app, compiled, container, manifest, pod, role, storm


def services(overlay: str = "") -> dict[str, Any]:
    return {m["metadata"]["name"]: m["spec"] for m in compiled(overlay).manifests if m["kind"] == "Service"}


LAYOUTS = [
    ("{}", ["prefill-0", "prefill-1", "decode-0-0", "decode-0-1", "router"]),
    ("decode: {distributedDp: false}", ["prefill-0", "prefill-1", "decode-0-0", "router"]),
    ("{prefill: {replicas: 1}, decode: {replicas: 2, podGroupSize: 1, dataParallel: 16}}",
     ["prefill-0", "decode-0", "decode-1", "router"]),
    ("routing: {replicas: 2}", ["prefill-0", "prefill-1", "decode-0-0", "decode-0-1", "router", "router-peers"]),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "names"), LAYOUTS)
def test_a_service_per_serving_pod_and_one_for_clients(overlay: str, names: list[str]) -> None:
    by_name = services(overlay)
    assert list(by_name) == [f"qwen3-moe-{name}" for name in names]
    assert "qwen3-moe" not in by_name


def test_services_select_one_pod_by_stable_labels() -> None:
    prefix = "stormservice.orchestration.aibrix.ai/"
    common = {"storm-service-name": "qwen3-moe"}
    by_name = services()
    assert by_name["qwen3-moe-prefill-1"]["selector"] == {
        **common, "role-name": "prefill", f"{prefix}role-replica-index": "1",
    }  # fmt: skip
    assert by_name["qwen3-moe-decode-0-1"]["selector"] == {
        **common, "role-name": "decode", f"{prefix}role-replica-index": "0", f"{prefix}pod-group-index": "1",
    }  # fmt: skip
    assert by_name["qwen3-moe-router"]["selector"] == {**common, "role-name": "routing"}


def test_services_have_the_ports_of_their_ranks() -> None:
    by_name = services("port: 9000")
    ports = by_name["qwen3-moe-decode-0-1"]["ports"]
    assert [p["port"] for p in ports] == [p["targetPort"] for p in ports] == list(range(9000, 9016))
    assert by_name["qwen3-moe-router"]["ports"] == [
        {"name": "http", "port": 8080, "protocol": "TCP", "targetPort": 8080}
    ]


def config(overlay: str = "") -> dict[str, Any]:
    data = manifest(compiled(overlay), "ConfigMap", "qwen3-moe-proxy-config")["data"]
    parsed: dict[str, Any] = json.loads(data["config.json"])
    return parsed


@pytest.mark.parametrize("overlay", [overlay for overlay, _ in LAYOUTS])
def test_the_topology_names_every_port_of_every_service_once(overlay: str) -> None:
    rendered = config(overlay)
    backends = [(b["host"], b["port"]) for name in ("prefill", "decode") for b in rendered[name]]
    behind = [(n, p["port"]) for n, s in services(overlay).items() if "-router" not in n for p in s["ports"]]
    assert backends == behind


@pytest.mark.parametrize(
    ("connector", "mode"), [("MooncakeLayerwiseConnector", "layerwise"), ("MooncakeConnectorV1", "standard")]
)
def test_the_connector_decides_the_protocol(connector: str, mode: str) -> None:
    overlay = f"kvTransfer: {{connector: {connector}}}"
    assert f"--mode={mode}" in container(storm(overlay), "routing")["args"]


EVERY_SETTING = """
networkPolicy: true
routing: {replicas: 2}
proxy: {port: 9090, maxFailures: 4, probeIntervalSeconds: 6, probeTimeoutSeconds: 3, maxRetries: 4,
  connectTimeoutSeconds: 4, streamIdleTimeoutSeconds: 7, drainSeconds: 31, cumulativeFailures: true,
  slowStartSeconds: 8, maxBackoffSeconds: 9, maxIsolatedPercent: 50, panic: true, retryBudgetPercent: 20,
  responseTimeoutSeconds: 10, maxRecomputes: 2, chatResume: first-message, metaserverAck: late,
  maxBodyBytes: 2048, prefixWeight: 0, prefixKeys: 4096, maxRequests: 11, accessLog: false,
  maxInflightBytes: 12, bodyTimeoutSeconds: 13,
  keepAliveSeconds: 14, heartbeatSeconds: 15, corsOrigin: "https://chat.example", inboundKeysFile: /keys,
  tlsCertFile: /c, tlsKeyFile: /k, tlsClientCaFile: /a, metaserverTls: true, engineTls: true, engineCaFile: /ea,
  engineCertFile: /ec, engineKeyFile: /ek,
  otlpEndpoint: http://c, tracePercent: 5,
  firstEventTimeoutSeconds: 16, fallback: false, resumeStreams: false, checkRemoteHost: false}
"""


def read_by_the_proxy(overlay: str, path: Path) -> tuple[settings.Settings, settings.Settings]:
    """The settings of the routing pod's arguments without and with the config file."""
    router = container(storm(overlay), "routing")
    arguments = [word.replace("$(POD_IP)", "10.0.0.1") for word in router["args"] if not word.startswith("--config=")]
    path.write_text(manifest(compiled(overlay), "ConfigMap", "qwen3-moe-proxy-config")["data"]["config.json"])
    plain, _ = settings.from_arguments([*arguments, "--prefiller-hosts", "p", "--decoder-hosts", "d"])
    return plain, settings.from_file(path, plain)


def test_the_proxy_understands_every_setting_of_the_spec(tmp_path: Path) -> None:
    plain, read = read_by_the_proxy(EVERY_SETTING, tmp_path / "config.json")
    assert (read.mode, read.host, read.advertise_host, read.port, read.metaserver_port) == (
        "layerwise", "::", "10.0.0.1", 9090, 9091,
    )  # fmt: skip
    assert len(read.prefill) == 4 and len(read.decode) == 32
    written = config(EVERY_SETTING)
    assert set(PROXY) - {"source"} <= written.keys()
    elsewhere = {"mode", "host", "advertiseHost"}
    assert written.keys() == CONFIG_KEYS.keys() - elsewhere | {"prefill", "decode"}
    for key, name in CONFIG_KEYS.items():
        if key not in elsewhere:
            assert getattr(read, name) == written[key] != getattr(plain, name), key


def test_probes_speak_what_the_port_speaks() -> None:
    for overlay, scheme in (("", None), ("proxy: {tlsCertFile: /tls/tls.crt}", "HTTPS")):
        router = container(storm(overlay), "routing")
        assert [router[probe]["httpGet"].get("scheme") for probe in ("readinessProbe", "livenessProbe")] == [scheme] * 2


def test_defaults_of_the_spec_are_those_of_the_proxy(tmp_path: Path) -> None:
    plain, read = read_by_the_proxy("", tmp_path / "config.json")
    assert (read.app, read.namespace) == ("qwen3-moe", "inference")
    named = replace(plain, app=read.app, namespace=read.namespace, model=read.model)
    assert read == replace(named, port=8080, prefill=read.prefill, decode=read.decode)


@pytest.mark.parametrize(
    "overlay", ["kvTransfer: {connector: MooncakeConnectorV1}", "proxy: {port: 9090}", "networkPolicy: true"]
)
def test_what_the_proxy_fixes_at_its_start_restarts_it(overlay: str, tmp_path: Path) -> None:
    before, after = (read_by_the_proxy(text, tmp_path / "config.json")[1] for text in ("", overlay))
    assert any(getattr(before, name) != getattr(after, name) for name in FIXED_AT_START)
    assert pod(storm(), "routing") != pod(storm(overlay), "routing")


def test_settings_reach_the_proxy_in_one_order() -> None:
    forward = config("proxy: {maxFailures: 5, drainSeconds: 60}")
    backward = config("proxy: {drainSeconds: 60, maxFailures: 5}")
    assert (forward["maxFailures"], forward["drainSeconds"], forward["probeIntervalSeconds"]) == (5, 60, 5)
    assert list(forward) == list(backward)


def test_a_routing_pod_runs_the_proxy() -> None:
    service = storm("{routing: {replicas: 2, image: 'proxy:1', env: {LOG: debug}}, proxy: {port: 9090}}")
    router = container(service, "routing")
    assert role(service, "routing")["replicas"] == 2
    assert (router["name"], router["image"], router["command"]) == (
        "router",
        "proxy:1",
        ["python3", "-m", "stormc_proxy"],
    )
    assert router["ports"] == [{"name": "http", "containerPort": 9090, "protocol": "TCP"}]
    assert router["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 9090}
    assert router["livenessProbe"]["httpGet"] == {"path": "/livez", "port": 9090}
    assert [e["name"] for e in router["env"]] == ["POD_IP", "LOG", "PROXY_VERSION"]
    assert pod(service, "routing")["spec"]["terminationGracePeriodSeconds"] == 5 + 30 + 10
    assert router["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    mounts = {mount["name"]: mount["mountPath"] for mount in router["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(service, "routing")["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys() == {"proxy-config", "proxy-source", "tmp"}
    assert f"--config={mounts['proxy-config']}/config.json" in router["args"]
    assert volumes["proxy-config"]["configMap"]["name"] == "qwen3-moe-proxy-config"
    assert mounts["proxy-source"] == f"{router['workingDir']}/stormc_proxy"


def test_the_proxys_source_travels_in_a_config_map_named_by_its_version() -> None:
    payload = app().payload
    name = f"stormc-proxy-{payload.proxy.version}"
    (source,) = shared_objects(payload, "inference", (name,))
    assert source["metadata"]["name"] == name and "__main__.py" in source["data"]
    volumes = pod(storm(), "routing")["spec"]["volumes"]
    (volume,) = (v["configMap"] for v in volumes if v["name"] == "proxy-source")
    assert volume == {"name": name}, "all keys are mounted: tests/payload/test_mounted.py starts what lies there"
    assert source["data"] == {key_of(path): text for path, text in payload.proxy.read().items()}


def test_a_proxy_from_the_image_needs_no_source() -> None:
    overlay = "proxy: {source: image}"
    service = storm(overlay)
    assert "workingDir" not in container(service, "routing")
    assert {v["name"] for v in pod(service, "routing")["spec"]["volumes"]} == {"proxy-config", "tmp"}
    configs = {m["metadata"]["name"] for m in compiled(overlay).manifests if m["kind"] == "ConfigMap"}
    assert configs == {"qwen3-moe-proxy-config"}


def test_routing_pods_are_confined() -> None:
    spec = pod(storm(), "routing")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    confined = container(storm(), "routing")["securityContext"]
    assert confined["readOnlyRootFilesystem"] is True
    assert confined["allowPrivilegeEscalation"] is False
    assert confined["capabilities"] == {"drop": ["ALL"]}
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"


@pytest.mark.parametrize(("replicas", "available"), [(1, None), (2, 1), (5, 4)])
def test_evictions_leave_all_routing_pods_but_one(replicas: int, available: int | None) -> None:
    manifests = compiled(f"routing: {{replicas: {replicas}}}").manifests
    budgets = [m["spec"] for m in manifests if m["kind"] == "PodDisruptionBudget"]
    selector = {"matchLabels": {"storm-service-name": "qwen3-moe", "role-name": "routing"}}
    assert budgets == ([] if available is None else [{"minAvailable": available, "selector": selector}])


def test_several_routing_pods_find_each_other() -> None:
    peers = services("routing: {replicas: 3}")["qwen3-moe-router-peers"]
    assert peers == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"storm-service-name": "qwen3-moe", "role-name": "routing"},
        "ports": [{"name": "peers", "port": 8080, "protocol": "UDP", "targetPort": 8080}],
    }
    assert config("routing: {replicas: 3}")["peers"] == "qwen3-moe-router-peers"
    assert "peers" not in config("routing: {replicas: 1}")


def test_more_replicas_touch_no_pod_template() -> None:
    def templates(overlay: str) -> list[Any]:
        return [r["template"] for r in storm(overlay)["spec"]["template"]["spec"]["roles"] if r["name"] != "prefill"]

    assert templates("decode: {replicas: 1}") == templates("decode: {replicas: 3}")
    assert config("decode: {replicas: 1}") != config("decode: {replicas: 3}")
    assert templates("routing: {replicas: 1}") == templates("routing: {replicas: 3}")


def test_serving_pods_are_a_property_of_the_app() -> None:
    model = app("decode: {replicas: 2}")
    assert [p.service for p in model.serving_pods if p.role == "decode"] == [
        "qwen3-moe-decode-0-0", "qwen3-moe-decode-0-1", "qwen3-moe-decode-1-0", "qwen3-moe-decode-1-1",
    ]  # fmt: skip
