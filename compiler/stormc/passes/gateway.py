"""The pod labels by which AIBrix's gateway discovers who serves a model."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import ROUTING, App
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, role_path, storm


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The gateway's labels on the pods that the spec lets it address: engines, routers, or none."""
    ports: dict[str, int] = {}
    if app.gateway == "roles":
        ports = {role.name: role.port for role in app.serving_roles}
    elif app.gateway == "router":
        ports = {ROUTING: app.proxy["port"]}
    for name, port in ports.items():
        for key, value in app.gateway_labels(port).items():
            yield Edit(storm(app), role_path(name, "template", "metadata", "labels", key), value, "gateway")
