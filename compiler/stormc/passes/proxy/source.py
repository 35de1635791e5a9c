"""The mount of the proxy's source: a ConfigMap that is named by its version, which all apps of the namespace share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import Directory
from stormc.model.app import ROUTING, App
from stormc.model.profile import Platform
from stormc.passes.because import fact
from stormc.passes.edit import Edit, router_path, storm
from stormc.payload.objects import proxy_config_map
from stormc.targets.programs import PROXY_DIRECTORY, Volume
from stormc.targets.storm_service import pod_path

VERSION = "PROXY_VERSION"
"""The variable from which the proxy's status page knows what it runs; it changes with the mounted ConfigMap only."""

MOUNTS_SOURCE = (("proxy", "source"),)
MOUNTED = fact("proxy", "docs/proxy.md", exists_if=MOUNTS_SOURCE)


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The volume and its mount; nothing when the routing image brings the proxy along."""
    if app.proxy_source != "configMap":
        return
    service, name = storm(app), proxy_config_map(app.payload)
    volume: dict[str, Any] = {"name": Volume.PROXY_SOURCE, "configMap": {"name": name}}
    yield Edit(service, pod_path(ROUTING, "volumes", (Volume.PROXY_SOURCE,)), volume, MOUNTED)
    mount: dict[str, Any] = {"name": Volume.PROXY_SOURCE, "mountPath": PROXY_DIRECTORY, "readOnly": True}
    yield Edit(service, router_path("volumeMounts", (PROXY_DIRECTORY,)), mount, MOUNTED)
    variable = {"name": VERSION, "value": app.payload.proxy.version}
    yield Edit(service, router_path("env", (VERSION,)), variable, MOUNTED)
    yield Edit(service, router_path("workingDir"), Directory.STORMC, MOUNTED)
