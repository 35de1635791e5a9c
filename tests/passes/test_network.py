"""The network policies, read by a small model of what they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.samples import compiled, container, storm

SERVICE = "storm-service-name"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(some["key"]) in some["values"] for some in selector.get("matchExpressions", ())
    )


def allowed(overlay: str, source: Mapping[str, str], target: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a pod with some labels may open a connection to a port of a role's pods."""
    labels = {SERVICE: "qwen3-moe", "role-name": target}
    policies = [m["spec"] for m in compiled(overlay).manifests if m["kind"] == "NetworkPolicy"]
    mine = [policy for policy in policies if selects(policy["podSelector"], labels)]
    return not mine or any(
        ("from" not in rule or any(_is(peer, source) for peer in rule["from"]))
        and ("ports" not in rule or any(_covers(p, port, protocol) for p in rule["ports"]))
        for policy in mine
        for rule in policy["ingress"]
    )


def _covers(ports: Mapping[str, Any], port: int, protocol: str) -> bool:
    return bool(ports["protocol"] == protocol and ports["port"] <= port <= ports.get("endPort", ports["port"]))


def _is(peer: Mapping[str, Any], source: Mapping[str, str]) -> bool:
    if "namespaceSelector" in peer:
        return selects(peer["namespaceSelector"], source)
    return selects(peer["podSelector"], source)


ROUTING = {SERVICE: "qwen3-moe", "role-name": "routing"}
DECODE = {SERVICE: "qwen3-moe", "role-name": "decode"}
PREFILL = {SERVICE: "qwen3-moe", "role-name": "prefill"}
OTHER = {SERVICE: "other", "role-name": "routing"}
GATEWAY = {"kubernetes.io/metadata.name": "envoy-gateway-system"}

WAYS = [
    (ROUTING, "prefill", 8080, True),
    (ROUTING, "decode", 8095, True),
    (ROUTING, "decode", 8096, False),
    (ROUTING, "decode", 36000, False),
    (OTHER, "decode", 8080, False),
    (DECODE, "prefill", 36005, True),
    (PREFILL, "decode", 13389, True),
    ({}, "routing", 8080, True),
    (DECODE, "routing", 8081, True),
    (PREFILL, "routing", 8081, False),
    (OTHER, "routing", 8081, False),
    (GATEWAY, "decode", 8080, True),
    (GATEWAY, "decode", 36000, False),
]


@pytest.mark.parametrize(("source", "target", "port", "expected"), WAYS)
def test_a_port_is_open_to_the_pods_that_need_it_alone(
    source: Mapping[str, str], target: str, port: int, expected: bool
) -> None:
    assert allowed("networkPolicy: true", source, target, port) is expected


def test_only_routing_pods_tell_each_other_their_loads() -> None:
    two = "{networkPolicy: true, routing: {replicas: 2}}"
    assert allowed(two, ROUTING, "routing", 8080, "UDP")
    assert not any(allowed(two, source, "routing", 8080, "UDP") for source in (DECODE, PREFILL, OTHER))
    assert not allowed("networkPolicy: true", ROUTING, "routing", 8080, "UDP"), "there is only one"


def test_without_the_gateways_labels_on_the_roles_it_stays_outside() -> None:
    assert not allowed("{networkPolicy: true, gateway: router}", GATEWAY, "decode", 8080)


def test_nothing_is_restricted_unless_asked() -> None:
    assert not [m for m in compiled().manifests if m["kind"] == "NetworkPolicy"]


def test_the_metaserver_has_a_port_of_its_own() -> None:
    manifests = compiled("{networkPolicy: true, proxy: {port: 9090}}").manifests
    (config,) = [m["data"]["config.json"] for m in manifests if "config.json" in m.get("data", {})]
    assert '"metaserverPort": 9091' in config
    router = container(storm("{networkPolicy: true, proxy: {port: 9090}}"), "routing")
    assert [port["containerPort"] for port in router["ports"]] == [9090, 9091]


def test_one_port_is_no_range() -> None:
    one_rank = "{podGroupSize: 1, dataParallel: 1, tensorParallel: 16}"
    overlay = f"{{networkPolicy: true, prefill: {one_rank}, decode: {one_rank}}}"
    made = [manifest for manifest in compiled(overlay).manifests if manifest["kind"] == "NetworkPolicy"]
    ports = [port for policy in made for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())]
    assert ports and not [port for port in ports if "endPort" in port]
