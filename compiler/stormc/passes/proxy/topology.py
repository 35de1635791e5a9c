"""The proxy's config file: its settings and the addresses of all serving pods.

A ConfigMap that the proxy reloads when it changes: a change of replicas touches no pod template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.model.app import ROUTING, App, Ref
from stormc.model.profile import Platform
from stormc.model.proxy_fields import PROXY
from stormc.passes.because import LOCAL_RANKS, Reason, fact, of
from stormc.passes.edit import Edit, router_path, storm
from stormc.passes.proxy.pods import CONFIG_KEY
from stormc.targets.programs import PROXY_CONFIG_DIRECTORY, Volume
from stormc.targets.storm_service import pod_path

MOUNTED = fact("proxy", "docs/proxy.md: the config file")
VOLUME: Reason = {(): MOUNTED, ("configMap", "name"): of(("name",))}
CONFIG = of(
    *(("proxy", field) for field in PROXY if field != "source"),
    *((role, field) for role in SERVING_ROLES for field in ("port", "replicas", *LOCAL_RANKS)),
    ("name",), ("networkPolicy",), ("routing", "replicas"), ("namespace",), ("model", "name"),
)  # fmt: skip


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The config file and its mount."""
    service = storm(app)
    volume = {"name": Volume.PROXY_CONFIG, "configMap": {"name": app.proxy_config}}
    yield Edit(service, pod_path(ROUTING, "volumes", (Volume.PROXY_CONFIG,)), volume, VOLUME)
    mount = {"name": Volume.PROXY_CONFIG, "mountPath": PROXY_CONFIG_DIRECTORY, "readOnly": True}
    yield Edit(service, router_path("volumeMounts", (PROXY_CONFIG_DIRECTORY,)), mount, MOUNTED)
    config = Ref("ConfigMap", app.proxy_config)
    yield Edit(config, ("data", CONFIG_KEY), config_text(app), CONFIG)


def config_text(app: App) -> str:
    """The proxy's config file: the only format that compiler and proxy share (docs/proxy.md).

    What the proxy cannot change while it runs is in the pod template as well, so that its change restarts the pods:
    the mode as a flag, the ports as the container's.
    """
    config: dict[str, Any] = {"app": app.name, "namespace": app.namespace, "model": app.model.name, **app.proxy}
    if app.metaserver_port is not None:
        config["metaserverPort"] = app.metaserver_port
    if app.router_peers:
        config["peers"] = app.router_peers
    # one setting and one instance per line, so that a change of topology reads as such in a diff
    settings = json.dumps(config, separators=(",\n  ", ": "))
    parts = [f"  {settings[1:-1]}"]
    for role in app.serving_roles:
        instances = ",\n".join(
            f'    {{"host": {json.dumps(pod.service)}, "port": {port}}}'
            for pod in app.serving_pods if pod.role == role.name for port in pod.ports
        )  # fmt: skip
        parts.append(f"  {json.dumps(role.name)}: [\n{instances}\n  ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"
