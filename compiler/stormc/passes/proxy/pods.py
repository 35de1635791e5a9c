"""The routing container: image, command, ports, probes, resources, and how it stops."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.facts.limits import SERVING_ROLES
from stormc.model import kv
from stormc.model.app import ROUTING, App
from stormc.model.profile import Platform
from stormc.model.role import Reference
from stormc.passes.because import KEY, ROLE, Reason, fact, of
from stormc.passes.edit import Edit, env_entry, router_path, storm
from stormc.targets.programs import PROXY_COMMAND, PROXY_CONFIG_DIRECTORY
from stormc.targets.storm_service import pod_path

CONFIG_KEY = "config.json"
MODES = {"decode-first": "layerwise", "prefill-first": "standard"}
"""The proxy's mode for each protocol of connectors; each has its own example proxy in vllm-ascend."""

PROBE = {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3}
LEAVE_SECONDS = 5

PROXY = fact("proxy", "docs/proxy.md")
PORT = of(("proxy", "port"))
IMAGE = of((ROLE, "image"))
PULL_POLICY = of((ROLE, "imagePullPolicy"))
# A spec that sets one of the two sets both: the default is a mapping as a whole.
RESOURCES = {
    resource: of((ROLE, "resources", resource), exists_if=((ROLE, "resources", other),))
    for resource, other in (("cpu", "memory"), ("memory", "cpu"))
}
MODE = fact(
    "engine.connectors", "vllm-ascend: each protocol of connectors has its own example proxy",
    ("kvTransfer", "connector"), ("kvTransfer", "extra"),
    *((role, "engineArgs", kv.CONFIG) for role in SERVING_ROLES),
    ("engine", "args", kv.CONFIG),
)  # fmt: skip
POD_ADDRESS = fact("proxy", "docs/proxy.md: decode pods call the proxy back on its own address")
USER_ENV = of((ROLE, "env", KEY))
HEALTH: Reason = {(): PROXY, ("httpGet", "port"): PORT, ("httpGet", "scheme"): of(("proxy", "tlsCertFile"))}
METASERVER = of(("proxy", "port"), exists_if=(("networkPolicy",),))
LEAVE = fact("kubernetes", "Pod termination: endpoints are withdrawn while the container stops")
DRAIN = of(("proxy", "drainSeconds"))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The routing container, except for what it reads."""
    service, role = storm(app), app.routing
    yield Edit(service, router_path("image"), role.image, IMAGE)
    if role.image_pull_policy:
        yield Edit(service, router_path("imagePullPolicy"), role.image_pull_policy, PULL_POLICY)
    yield Edit(service, router_path("command"), list(PROXY_COMMAND), PROXY)
    for argument in _arguments(app):
        flag = argument.partition("=")[0]
        yield Edit(service, router_path("args", (flag,)), argument, MODE if flag == "--mode" else PROXY)
    entry = {"name": Env.POD_IP, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
    yield Edit(service, router_path("env", (Env.POD_IP,)), entry, POD_ADDRESS)
    for name, value in sorted(role.env.items()):
        if isinstance(value, (str, Reference)):
            yield Edit(service, router_path("env", (name,)), env_entry(name, value), USER_ENV)
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                yield Edit(service, router_path("resources", kind, resource), amount, RESOURCES[resource])
    yield from _ports(app)
    yield from _stop(app)


def _arguments(app: App) -> list[str]:
    """Decode calls the proxy back on the address of the pod."""
    return [
        f"--config={PROXY_CONFIG_DIRECTORY}/{CONFIG_KEY}", f"--mode={MODES[app.kv.protocol]}", "--host=::",
        "--advertise-host=$(POD_IP)",
    ]  # fmt: skip


def _ports(app: App) -> Iterator[Edit]:
    """The ports that the proxy listens on, and the probes of the first."""
    service, port = storm(app), app.proxy["port"]
    entry = {"name": "http", "containerPort": port, "protocol": "TCP"}
    yield Edit(service, router_path("ports", (port, "TCP")), entry, PORT)
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        scheme = {"scheme": "HTTPS"} if app.proxy.get("tlsCertFile") else {}
        check = {"httpGet": {"path": path, "port": port, **scheme}, **PROBE}
        yield Edit(service, router_path(probe), check, HEALTH)
    if app.metaserver_port is not None:
        entry = {"name": "metaserver", "containerPort": app.metaserver_port, "protocol": "TCP"}
        yield Edit(service, router_path("ports", (app.metaserver_port, "TCP")), entry, METASERVER)


def _stop(app: App) -> Iterator[Edit]:
    """Time to leave the Services' endpoints before SIGTERM, to drain after it, and to say why it could not."""
    hook = {"exec": {"command": ["sleep", str(LEAVE_SECONDS)]}}
    yield Edit(storm(app), router_path("lifecycle", "preStop"), hook, LEAVE)
    grace = LEAVE_SECONDS + app.proxy["drainSeconds"] + 10
    yield Edit(storm(app), pod_path(ROUTING, "terminationGracePeriodSeconds"), grace, DRAIN)
