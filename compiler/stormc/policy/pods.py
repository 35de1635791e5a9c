"""The pods of an app: the finished pod templates, and where the spec wrote a field of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.facts.pods import CONTAINER_LISTS
from stormc.finding import Path
from stormc.model.app import ROUTER, ROUTING
from stormc.policy.breach import Case, Manifest
from stormc.record import NamedTuple
from stormc.targets.programs import Volume
from stormc.targets.storm_service import ROLES, roles, storm_service

Container = Mapping[str, Any]


class Pod(NamedTuple):
    """The pod template of one role: its place in the StormService, and where the spec wrote a field of it."""

    case: Case
    storm: Manifest
    number: int
    role: str
    """The role's name."""
    spec: Mapping[str, Any]
    """The pod spec."""
    containers: tuple[tuple[Path, Container], ...]
    """Every container with its path in the pod spec."""

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template."""
        return self.storm["spec"]["template"]["spec"]["roles"][self.number].get("template") or {}

    def at(self, path: Path, otherwise: Path = ()) -> Path:
        """Where an override writes a field of the pod spec; else `otherwise`, else the role."""
        if not self.case.app.overrides:
            return otherwise or (self.role,)
        base: Path = (*ROLES, self.number, "template", "spec")
        whole: Path = (*base, *path)
        return self.overridden(path) or otherwise or self.case.wrote(self.storm, whole, (self.role,), len(base) + 1)

    def overridden(self, path: Path) -> Path:
        """Where an override writes exactly this field of the pod spec; empty where none does."""
        if not self.case.app.overrides:
            return ()
        whole: Path = (*ROLES, self.number, "template", "spec", *path)
        return self.case.wrote(self.storm, whole, (), len(whole))

    def patched(self, path: Path) -> Path:
        """Where an override writes a field of the pod spec, or something around it: within its container or volume."""
        if not self.case.app.overrides:
            return ()
        base: Path = (*ROLES, self.number, "template", "spec")
        least = 3 if path[0] in CONTAINER_LISTS else 2 if path[0] == "volumes" else 1
        return self.case.wrote(self.storm, (*base, *path), (), len(base) + min(least, len(path)))

    def volume_path(self, name: str) -> Path:
        """The item of the role's `volumes` that is called so; empty where none is."""
        roles = (*self.case.app.serving_roles, self.case.app.routing)
        volumes = next((role.volumes for role in roles if role.name == self.role), ())
        return next((volume.path for volume in volumes if volume.name == name), ())

    def own(self, at: Path, container: Container) -> bool:
        """Whether a container at a path is the one that stormc renders: the engine's, or the proxy's."""
        engine = self.role if self.role in SERVING_ROLES else None
        return at[0] == "containers" and container.get("name") == (ROUTER if self.role == ROUTING else engine)

    def mounts(self, volume: str) -> list[Mapping[str, Any]]:
        """The mounts of a volume in all containers."""
        return [
            mount
            for _, container in self.containers
            for mount in container.get("volumeMounts") or ()
            if mount.get("name") == volume
        ]


def flags_of(container: Container) -> Iterator[tuple[str, str]]:
    """The flags among a container's arguments, as written and without dashes; a value may be the words that follow."""
    flag, values = "", list[str]()
    for word in map(str, container.get("args") or ()):
        if not word.startswith("--"):
            values.append(word)
            continue
        if flag:
            yield flag, " ".join(values)
        flag, equals, value = word[2:].partition("=")
        values = [value] if equals else []
    if flag:
        yield flag, " ".join(values)


def pods_of(case: Case) -> list[Pod]:
    """The pod templates of the app."""
    storm, pods = storm_service(case.manifests), []
    for number, role in enumerate(roles(storm)):
        spec = (role.get("template") or {}).get("spec") or {}
        containers = [
            ((kind, index), container)
            for kind in CONTAINER_LISTS
            for index, container in enumerate(spec.get(kind) or ())
        ]
        pods.append(Pod(case, storm, number, str(role.get("name", "")), spec, tuple(containers)))
    return pods


def volume_field(pod: Pod, name: str) -> Path:
    """The field of the spec by which a volume is there; empty where none is."""
    if name == Volume.MODEL:
        return ("model", "volume") if pod.case.app.model.host_path else ("model", "path")
    return pod.volume_path(name) or (("engine", "script") if pod.case.app.engine.script else ())
