"""The pod labels by which AIBrix's gateway discovers who serves a model."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.facts.limits import SERVING_ROLES
from stormc.model.app import ROUTING, App
from stormc.model.precedence import WHO_SERVES
from stormc.model.profile import Platform
from stormc.passes.because import fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import role_path

GATEWAY = ("gateway",)
TO_ENGINES = (GATEWAY, *WHO_SERVES)
SOURCE = "AIBrix pkg/cache/informers.go"
NAME = {role: of(("model", "name"), exists_if=TO_ENGINES)._replace(source=SOURCE) for role in SERVING_ROLES}
NAME[ROUTING] = of(("model", "name"), exists_if=(GATEWAY,))._replace(source=SOURCE)
ENGINE = {role: fact("aibrix", SOURCE, exists_if=TO_ENGINES) for role in SERVING_ROLES}
ENGINE[ROUTING] = fact("aibrix", SOURCE, exists_if=(GATEWAY,))
PORTS = {role: of((role, "port"), exists_if=TO_ENGINES)._replace(source=SOURCE) for role in SERVING_ROLES}
PORTS[ROUTING] = of(("proxy", "port"), exists_if=(GATEWAY,))._replace(source=SOURCE)


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The gateway's labels on the pods that the spec lets it address: engines, routers, or none."""
    ports: dict[str, int] = {}
    if app.gateway == "roles":
        ports = {role.name: role.port for role in app.serving_roles}
    elif app.gateway == "router":
        ports = {ROUTING: app.proxy["port"]}
    for name, port in ports.items():
        reasons = {Label.MODEL_NAME: NAME[name], Label.MODEL_PORT: PORTS[name]}
        for key, value in app.gateway_labels(port).items():
            path = role_path(name, "template", "metadata", "labels", key)
            yield Edit(storm(app), path, value, reasons.get(key, ENGINE[name]))
