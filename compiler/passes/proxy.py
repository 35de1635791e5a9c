"""The routing role, the proxy's topology, a Service per serving pod, and the Service for clients.

Names of pods hold a random suffix, so every serving pod gets a ClusterIP Service over AIBrix's stable labels and the
proxy addresses those. The topology is a ConfigMap that the proxy reloads when it changes: a change of replicas
touches no pod template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from compiler.passes.edit import Edit, container_path, env_entry, pod_path, role_path, storm
from compiler.spec.app import ROUTING, App, Ref, ServingPod
from compiler.spec.profile import Platform

CONTAINER = "router"
CONFIG_DIRECTORY = "/etc/stormc/proxy"
CONFIG_KEY = "config.json"
MODES = {"MooncakeLayerwiseConnector": "layerwise", "MooncakeConnectorV1": "standard"}
"""The protocol that a connector speaks with the proxy; each has its own example proxy in vllm-ascend."""

# AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47; the ones without a random part.
STORM_LABEL = "storm-service-name"
ROLE_LABEL = "role-name"
REPLICA_LABEL = "stormservice.orchestration.aibrix.ai/role-replica-index"
POD_LABEL = "stormservice.orchestration.aibrix.ai/pod-group-index"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The routing pods, what they read, and how they are reached."""
    yield from _pods(app)
    config = Ref("ConfigMap", app.proxy_config)
    yield Edit(config, ("data", CONFIG_KEY), config_text(app), "proxy, prefill, decode")
    for pod in app.serving_pods:
        yield from _service(pod.service, app, _selector(app, pod), [(f"rank-{k}", p) for k, p in enumerate(pod.ports)])
    router = {STORM_LABEL: app.name, ROLE_LABEL: ROUTING}
    yield from _service(app.router_service, app, router, [("http", app.proxy["port"])])


def config_text(app: App) -> str:
    """The proxy's config file: the only format that compiler and proxy share (docs/proxy.md)."""
    config: dict[str, Any] = {"mode": MODES[app.connector], **app.proxy}
    for role in app.serving_roles:
        config[role.name] = [
            {"host": pod.service, "port": port}
            for pod in app.serving_pods if pod.role == role.name for port in pod.ports
        ]  # fmt: skip
    return _readable(config)


def _readable(config: dict[str, Any]) -> str:
    """JSON with one setting and one instance per line, so that a change of topology reads as such in a diff."""
    lines = []
    for key, value in config.items():
        if isinstance(value, list):
            items = ",\n".join(f"    {json.dumps(item)}" for item in value)
            lines.append(f"  {json.dumps(key)}: [\n{items}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _selector(app: App, pod: ServingPod) -> dict[str, str]:
    selector = {STORM_LABEL: app.name, ROLE_LABEL: pod.role, REPLICA_LABEL: str(pod.replica)}
    if pod.pod_index is not None:
        selector[POD_LABEL] = str(pod.pod_index)
    return selector


def _service(name: str, app: App, selector: dict[str, str], ports: list[tuple[str, int]]) -> Iterator[Edit]:
    ref = Ref("Service", name)
    yield Edit(ref, ("spec", "type"), "ClusterIP", "clients stay in the cluster")
    yield Edit(ref, ("spec", "selector"), selector, "AIBrix's stable pod labels")
    for port_name, port in ports:
        entry = {"name": port_name, "port": port, "protocol": "TCP", "targetPort": port}
        yield Edit(ref, ("spec", "ports", (port, "TCP")), entry, "port + local rank")


def _pods(app: App) -> Iterator[Edit]:
    service, role = storm(app), app.routing

    def at(*steps: str | tuple[str | int, ...]) -> tuple[Any, ...]:
        return container_path(ROUTING, CONTAINER, *steps)

    port = app.proxy["port"]
    yield Edit(service, at("image"), role.image, "routing.image")
    if role.image_pull_policy:
        yield Edit(service, at("imagePullPolicy"), role.image_pull_policy, "imagePullPolicy")
    yield Edit(service, at("command"), ["python3", "-m", "proxy"], "the proxy")
    arguments = [f"--config={CONFIG_DIRECTORY}/{CONFIG_KEY}", "--host=0.0.0.0", "--advertise-host=$(POD_IP)"]
    yield Edit(service, at("args"), arguments, "decode calls the proxy back on the pod's address")
    entry = {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
    yield Edit(service, at("env", ("POD_IP",)), entry, "--advertise-host")
    for name, value in sorted(role.env.items()):
        yield Edit(service, at("env", (name,)), env_entry(name, value), "routing.env")
    yield Edit(
        service, at("ports", (port, "TCP")), {"name": "http", "containerPort": port, "protocol": "TCP"}, "proxy.port"
    )
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                yield Edit(service, at("resources", kind, resource), amount, f"routing.resources.{resource}")
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        check = {
            "httpGet": {"path": path, "port": port},
            "periodSeconds": 5,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        }
        yield Edit(service, at(probe), check, f"the proxy's {path}")
    # The proxy drains after SIGTERM; ten seconds more let it say why it could not.
    grace = app.proxy["drainSeconds"] + 10
    yield Edit(service, pod_path(ROUTING, "terminationGracePeriodSeconds"), grace, "proxy.drainSeconds")
    volume = {"name": "proxy-config", "configMap": {"name": app.proxy_config}}
    yield Edit(service, pod_path(ROUTING, "volumes", ("proxy-config",)), volume, "the proxy's topology")
    mount = {"name": "proxy-config", "mountPath": CONFIG_DIRECTORY, "readOnly": True}
    yield Edit(service, at("volumeMounts", (CONFIG_DIRECTORY,)), mount, "the proxy's topology")
    if app.gateway == "router":
        for key, value in app.gateway_labels(port).items():
            yield Edit(service, role_path(ROUTING, "template", "metadata", "labels", key), value, "gateway")
