"""The engine container: image, CPU and memory, one port per rank that answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.passes.because import LOCAL_RANKS, ROLE, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import container_path

IMAGE = of((ROLE, "image"))
PULL_POLICY = of((ROLE, "imagePullPolicy"))
RESOURCES = {resource: of((ROLE, "resources", resource)) for resource in ("cpu", "memory")}
SHARE = fact(
    "hardware.requests", "Kubernetes: pods without requests are evicted first", (ROLE, "npus"), ("hardware",),
    exists_if=((ROLE, "resources"), ("overrides",)),
)  # fmt: skip
FIRST_PORT = of((ROLE, "port"))
FURTHER_PORT = of((ROLE, "port"), exists_if=tuple((ROLE, field) for field in LOCAL_RANKS))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Image, pull policy, resources and ports of the engine containers."""
    for role in app.serving_roles:
        yield from _container(app, role)


def _container(app: App, role: Role) -> Iterator[Edit]:
    service, name = storm(app), role.name
    yield Edit(service, container_path(name, name, "image"), role.image, IMAGE)
    if role.image_pull_policy:
        path = container_path(name, name, "imagePullPolicy")
        yield Edit(service, path, role.image_pull_policy, PULL_POLICY)
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                path = container_path(name, name, "resources", kind, resource)
                yield Edit(service, path, amount, RESOURCES[resource])
    for resource, amount in role.requests.items():
        if not any(_limits(override.patch, resource) for override in app.overrides):
            yield Edit(service, container_path(name, name, "resources", "requests", resource), amount, SHARE)
    for rank, number in enumerate(role.ports):
        port = {"name": f"rank-{rank}", "containerPort": number, "protocol": "TCP"}
        because = FURTHER_PORT if rank else FIRST_PORT
        yield Edit(service, container_path(name, name, "ports", (number, "TCP")), port, because)


def _limits(patch: Any, resource: str) -> bool:
    """Whether a patch limits a resource. The API server takes that for the request, too, where there is no other."""
    if isinstance(patch, list):
        return any(_limits(item, resource) for item in patch)
    if not isinstance(patch, dict):
        return False
    limits = patch.get("limits")
    return (isinstance(limits, dict) and resource in limits) or any(_limits(item, resource) for item in patch.values())
