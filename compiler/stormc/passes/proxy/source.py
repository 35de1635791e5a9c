"""The proxy's source as a ConfigMap, named by its version: a new proxy restarts the routing pods only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App, Ref
from stormc.model.profile import Platform
from stormc.passes.because import Reason, fact, of
from stormc.passes.edit import Edit, container_path, pod_path, storm

SOURCE_DIRECTORY = "/opt/stormc"

PAYLOAD = fact("proxy", "proxy/stormc_proxy/")
VERSIONED = fact("stormc", "docs/restarts.md: another proxy has another name")
GIVEN = (("proxy", "source"),)
MOUNTED = fact("proxy", "docs/proxy.md", given=GIVEN)
VOLUME: Reason = {(): MOUNTED, ("configMap", "name"): of(("name",), given=GIVEN)}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The source and its mount; nothing when the routing image brings the proxy along."""
    if app.proxy_source != "configMap":
        return
    service, name = storm(app), app.proxy_source_config
    ref = Ref("ConfigMap", name)
    items = [{"key": key_of(path), "path": path} for path in app.payload.proxy]
    for path, text in app.payload.proxy.items():
        yield Edit(ref, ("data", key_of(path)), text, PAYLOAD)
    yield Edit(ref, ("immutable",), True, VERSIONED)
    volume: dict[str, Any] = {"name": "proxy-source", "configMap": {"name": name, "items": items}}
    yield Edit(service, pod_path(ROUTING, "volumes", ("proxy-source",)), volume, VOLUME)
    directory = f"{SOURCE_DIRECTORY}/stormc_proxy"
    mount: dict[str, Any] = {"name": "proxy-source", "mountPath": directory, "readOnly": True}
    yield Edit(service, container_path(ROUTING, ROUTER, "volumeMounts", (directory,)), mount, MOUNTED)
    yield Edit(service, container_path(ROUTING, ROUTER, "workingDir"), SOURCE_DIRECTORY, MOUNTED)


def key_of(path: str) -> str:
    """A ConfigMap's key for a file: keys hold no slashes, so the volume's items say where each file lies."""
    return path.replace("/", ".")
