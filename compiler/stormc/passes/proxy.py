"""The routing role, the proxy's source and topology, a Service per serving pod, and the Service for clients.

Names of pods hold a random suffix, so every serving pod gets a ClusterIP Service over AIBrix's stable labels and the
proxy addresses those. The topology is a ConfigMap that the proxy reloads when it changes: a change of replicas
touches no pod template. The source is another one, named by its version: a new proxy restarts the routing pods only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App, Ref, ServingPod
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, container_path, env_entry, pod_path, role_path, storm

SOURCE_DIRECTORY = "/opt/stormc"
CONFIG_DIRECTORY = "/etc/stormc/proxy"
CONFIG_KEY = "config.json"
MODES = {"MooncakeLayerwiseConnector": "layerwise", "MooncakeConnectorV1": "standard"}
"""The protocol that a connector speaks with the proxy; each has its own example proxy in vllm-ascend."""

PROBE = {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3}
LEAVE_SECONDS = 5
POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

# AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47; the ones without a random part.
REPLICA_LABEL = "stormservice.orchestration.aibrix.ai/role-replica-index"
POD_LABEL = "stormservice.orchestration.aibrix.ai/pod-group-index"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The routing pods, what they read, and how they are reached."""
    yield from _pods(app)
    config = Ref("ConfigMap", app.proxy_config)
    yield Edit(config, ("data", CONFIG_KEY), config_text(app), "proxy, prefill, decode")
    yield from _source(app)
    for pod in app.serving_pods:
        yield from _service(pod.service, app, _selector(app, pod), [(f"rank-{k}", p) for k, p in enumerate(pod.ports)])
    yield from _service(app.router_service, app, app.role_labels(ROUTING), [("http", app.proxy["port"])])
    yield from _budget(app)


def config_text(app: App) -> str:
    """The proxy's config file: the only format that compiler and proxy share (docs/proxy.md).

    What the proxy cannot change while it runs is in the pod template as well, so that its change restarts the pods:
    the mode as a flag, the ports as the container's.
    """
    config: dict[str, Any] = {**app.proxy}
    if app.metaserver_port is not None:
        config["metaserverPort"] = app.metaserver_port
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
    selector = {**app.role_labels(pod.role), REPLICA_LABEL: str(pod.replica)}
    if pod.pod_index is not None:
        selector[POD_LABEL] = str(pod.pod_index)
    return selector


def _source(app: App) -> Iterator[Edit]:
    """The proxy's source as a ConfigMap and its mount; nothing when the routing image brings the proxy along."""
    if app.proxy_source != "configMap":
        return
    service, name, because = storm(app), app.proxy_source_config, "the proxy of this stormc"
    ref = Ref("ConfigMap", name)
    for key, text in app.payload.proxy.items():
        yield Edit(ref, ("data", key), text, because)
    yield Edit(ref, ("immutable",), True, "another proxy has another name")
    volume: dict[str, Any] = {"name": "proxy-source", "configMap": {"name": name}}
    yield Edit(service, pod_path(ROUTING, "volumes", ("proxy-source",)), volume, because)
    directory = f"{SOURCE_DIRECTORY}/stormc_proxy"
    mount: dict[str, Any] = {"name": "proxy-source", "mountPath": directory, "readOnly": True}
    yield Edit(service, container_path(ROUTING, ROUTER, "volumeMounts", (directory,)), mount, because)
    yield Edit(service, container_path(ROUTING, ROUTER, "workingDir"), SOURCE_DIRECTORY, because)


def _budget(app: App) -> Iterator[Edit]:
    """Voluntary evictions leave all routing pods but one.

    RoleSet has no scale subresource that the disruption controller knows, so only a whole `minAvailable` works.
    """
    if app.routing.replicas > 1:
        ref = Ref("PodDisruptionBudget", app.router_service)
        yield Edit(ref, ("spec", "minAvailable"), app.routing.replicas - 1, "routing.replicas")
        yield Edit(ref, ("spec", "selector", "matchLabels"), app.role_labels(ROUTING), "AIBrix's stable pod labels")


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
        return container_path(ROUTING, ROUTER, *steps)

    port = app.proxy["port"]
    yield Edit(service, at("image"), role.image, "routing.image")
    if role.image_pull_policy:
        yield Edit(service, at("imagePullPolicy"), role.image_pull_policy, "imagePullPolicy")
    yield Edit(service, at("command"), ["python3", "-m", "stormc_proxy"], "the proxy")
    arguments = [
        f"--config={CONFIG_DIRECTORY}/{CONFIG_KEY}", f"--mode={MODES[app.connector]}", "--host=0.0.0.0",
        "--advertise-host=$(POD_IP)",
    ]  # fmt: skip
    yield Edit(service, at("args"), arguments, "kvTransfer.connector; decode calls the proxy back on the pod's address")
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
        check = {"httpGet": {"path": path, "port": port}, **PROBE}
        yield Edit(service, at(probe), check, f"the proxy's {path}")
    if app.metaserver_port is not None:
        callback = {"name": "metaserver", "containerPort": app.metaserver_port, "protocol": "TCP"}
        yield Edit(service, at("ports", (app.metaserver_port, "TCP")), callback, "networkPolicy")
    yield from _stop(app)
    yield from _confine(app)
    volume = {"name": "proxy-config", "configMap": {"name": app.proxy_config}}
    yield Edit(service, pod_path(ROUTING, "volumes", ("proxy-config",)), volume, "the proxy's topology")
    mount = {"name": "proxy-config", "mountPath": CONFIG_DIRECTORY, "readOnly": True}
    yield Edit(service, at("volumeMounts", (CONFIG_DIRECTORY,)), mount, "the proxy's topology")
    if app.gateway == "router":
        for key, value in app.gateway_labels(port).items():
            yield Edit(service, role_path(ROUTING, "template", "metadata", "labels", key), value, "gateway")


def _stop(app: App) -> Iterator[Edit]:
    """Time to leave the Services' endpoints before SIGTERM, to drain after it, and to say why it could not."""
    pause = ["sleep", str(LEAVE_SECONDS)]
    hook = container_path(ROUTING, ROUTER, "lifecycle", "preStop")
    yield Edit(storm(app), hook, {"exec": {"command": pause}}, "endpoints are withdrawn at the same time as the stop")
    grace = LEAVE_SECONDS + app.proxy["drainSeconds"] + 10
    yield Edit(storm(app), pod_path(ROUTING, "terminationGracePeriodSeconds"), grace, "proxy.drainSeconds")


def _confine(app: App) -> Iterator[Edit]:
    """A routing pod holds no credentials, writes to /tmp only, and shares its node with other routing pods last.

    The spread stands there for one replica too, so that a second one touches no template.
    """
    service, because = storm(app), "Pod Security Standards, profile restricted"
    yield Edit(service, pod_path(ROUTING, "automountServiceAccountToken"), False, because)
    yield Edit(service, pod_path(ROUTING, "securityContext"), POD_SECURITY, because)
    yield Edit(service, container_path(ROUTING, ROUTER, "securityContext"), CONTAINER_SECURITY, because)
    yield Edit(service, pod_path(ROUTING, "volumes", ("tmp",)), {"name": "tmp", "emptyDir": {}}, because)
    mount = {"name": "tmp", "mountPath": "/tmp"}
    yield Edit(service, container_path(ROUTING, ROUTER, "volumeMounts", ("/tmp",)), mount, because)
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": app.role_labels(ROUTING)},
    }
    yield Edit(service, pod_path(ROUTING, "topologySpreadConstraints"), [spread], "a node less, not all routing pods")
