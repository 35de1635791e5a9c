"""The routing container: image, command, ports, probes, resources, and how it stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App
from stormc.model.profile import Platform
from stormc.model.role import Reference
from stormc.passes.edit import Edit, container_path, env_entry, pod_path, storm

CONFIG_DIRECTORY = "/etc/stormc/proxy"
CONFIG_KEY = "config.json"
MODES = {"decode-first": "layerwise", "prefill-first": "standard"}
"""The proxy's mode for each protocol of connectors; each has its own example proxy in vllm-ascend."""

PROBE = {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3}
LEAVE_SECONDS = 5


def at(*steps: str | tuple[str | int, ...]) -> tuple[Any, ...]:
    """A path inside the routing container."""
    return container_path(ROUTING, ROUTER, *steps)


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The routing container, except for what it reads."""
    service, role = storm(app), app.routing
    yield Edit(service, at("image"), role.image, "routing.image")
    if role.image_pull_policy:
        yield Edit(service, at("imagePullPolicy"), role.image_pull_policy, "imagePullPolicy")
    yield Edit(service, at("command"), ["python3", "-m", "stormc_proxy"], "the proxy")
    yield Edit(service, at("args"), _arguments(app), "kvTransfer.connector")
    entry = {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
    yield Edit(service, at("env", ("POD_IP",)), entry, "--advertise-host")
    for name, value in sorted(role.env.items()):
        if isinstance(value, (str, Reference)):
            yield Edit(service, at("env", (name,)), env_entry(name, value), "routing.env")
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                yield Edit(service, at("resources", kind, resource), amount, f"routing.resources.{resource}")
    yield from _ports(app)
    yield from _stop(app)


def _arguments(app: App) -> list[str]:
    """Decode calls the proxy back on the address of the pod."""
    return [
        f"--config={CONFIG_DIRECTORY}/{CONFIG_KEY}", f"--mode={MODES[app.kv.protocol]}", "--host=0.0.0.0",
        "--advertise-host=$(POD_IP)",
    ]  # fmt: skip


def _ports(app: App) -> Iterator[Edit]:
    """The ports that the proxy listens on, and the probes of the first."""
    service, port = storm(app), app.proxy["port"]
    entry = {"name": "http", "containerPort": port, "protocol": "TCP"}
    yield Edit(service, at("ports", (port, "TCP")), entry, "proxy.port")
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        check = {"httpGet": {"path": path, "port": port}, **PROBE}
        yield Edit(service, at(probe), check, f"the proxy's {path}")
    if app.metaserver_port is not None:
        entry = {"name": "metaserver", "containerPort": app.metaserver_port, "protocol": "TCP"}
        yield Edit(service, at("ports", (app.metaserver_port, "TCP")), entry, "networkPolicy")


def _stop(app: App) -> Iterator[Edit]:
    """Time to leave the Services' endpoints before SIGTERM, to drain after it, and to say why it could not."""
    hook = {"exec": {"command": ["sleep", str(LEAVE_SECONDS)]}}
    yield Edit(storm(app), at("lifecycle", "preStop"), hook, "endpoints are withdrawn at the same time as the stop")
    grace = LEAVE_SECONDS + app.proxy["drainSeconds"] + 10
    yield Edit(storm(app), pod_path(ROUTING, "terminationGracePeriodSeconds"), grace, "proxy.drainSeconds")
