"""The proxy's source as a ConfigMap, named by its version: a new proxy restarts the routing pods only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App, Ref
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, container_path, pod_path, storm

SOURCE_DIRECTORY = "/opt/stormc"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The source and its mount; nothing when the routing image brings the proxy along."""
    if app.proxy_source != "configMap":
        return
    service, name, because = storm(app), app.proxy_source_config, "the proxy of this stormc"
    ref = Ref("ConfigMap", name)
    items = [{"key": key_of(path), "path": path} for path in app.payload.proxy]
    for path, text in app.payload.proxy.items():
        yield Edit(ref, ("data", key_of(path)), text, because)
    yield Edit(ref, ("immutable",), True, "another proxy has another name")
    volume: dict[str, Any] = {"name": "proxy-source", "configMap": {"name": name, "items": items}}
    yield Edit(service, pod_path(ROUTING, "volumes", ("proxy-source",)), volume, because)
    directory = f"{SOURCE_DIRECTORY}/stormc_proxy"
    mount: dict[str, Any] = {"name": "proxy-source", "mountPath": directory, "readOnly": True}
    yield Edit(service, container_path(ROUTING, ROUTER, "volumeMounts", (directory,)), mount, because)
    yield Edit(service, container_path(ROUTING, ROUTER, "workingDir"), SOURCE_DIRECTORY, because)


def key_of(path: str) -> str:
    """A ConfigMap's key for a file: keys hold no slashes, so the volume's items say where each file lies."""
    return path.replace("/", ".")
