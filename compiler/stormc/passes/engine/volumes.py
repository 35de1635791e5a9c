"""The volumes that the spec gives to roles, and the node's network for roles that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.finding import Path
from stormc.model.app import ROUTER, ROUTING, App, Pods
from stormc.model.profile import Platform
from stormc.passes.because import ROLE, Because, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import container_path, pod_path

HOST_NETWORK = of((ROLE, "hostNetwork"))
DNS = fact("kubernetes", "core/v1 PodSpec dnsPolicy", exists_if=((ROLE, "hostNetwork"),))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The volumes with their mounts, and hostNetwork with the DNS policy that keeps cluster names resolvable."""
    for role in (*app.serving_roles, app.routing):
        yield from _volumes(app, role)
    for role in app.serving_roles:
        if role.host_network:
            yield Edit(storm(app), pod_path(role.name, "hostNetwork"), True, HOST_NETWORK)
            yield Edit(storm(app), pod_path(role.name, "dnsPolicy"), "ClusterFirstWithHostNet", DNS)


def _volumes(app: App, role: Pods) -> Iterator[Edit]:
    container = ROUTER if role.name == ROUTING else role.name
    names: set[str] = set()
    lists: tuple[Path, ...] = (("volumes",), (role.name, "volumes")) if role.name != ROUTING else ()
    for volume in role.volumes:
        others = [field for field in lists if field != volume.path[:-1]]
        because = Because((volume.path, *others))
        if volume.name not in names:
            source = {"name": volume.name, **volume.source}
            yield Edit(storm(app), pod_path(role.name, "volumes", (volume.name,)), source, because)
        names.add(volume.name)
        mount: dict[str, Any] = {"name": volume.name, "mountPath": volume.mount_path}
        if volume.read_only:
            mount["readOnly"] = True
        if volume.sub_path:
            mount["subPath"] = volume.sub_path
        path = container_path(role.name, container, "volumeMounts", (volume.mount_path,))
        yield Edit(storm(app), path, mount, because)
