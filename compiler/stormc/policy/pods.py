"""The pods of an app: the finished pod templates, and where the spec wrote a field of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.model.app import ROUTER, ROUTING
from stormc.policy.breach import Case, Manifest
from stormc.policy.pod_security import KINDS
from stormc.record import NamedTuple

ROLES: Path = ("spec", "template", "spec", "roles")
Container = Mapping[str, Any]


class Pod(NamedTuple):
    """The pod template of one role: its place in the StormService, and where the spec wrote a field of it."""

    case: Case
    storm: Manifest
    number: int

    @property
    def role(self) -> str:
        """The role's name."""
        return str(self.storm["spec"]["template"]["spec"]["roles"][self.number].get("name", ""))

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template."""
        return self.storm["spec"]["template"]["spec"]["roles"][self.number].get("template") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pod spec."""
        return self.template.get("spec") or {}

    def at(self, path: Path, otherwise: Path = ()) -> Path:
        """Where an override writes a field of the pod spec; else `otherwise`, else the role."""
        base: Path = (*ROLES, self.number, "template", "spec")
        whole: Path = (*base, *path)
        exact = self.case.wrote(self.storm, whole, (), len(whole)) or otherwise
        return exact or self.case.wrote(self.storm, whole, (self.role,), len(base) + 1)

    def patched(self, path: Path) -> Path:
        """Where an override writes a field of the pod spec, or something around it: within its container or volume."""
        base: Path = (*ROLES, self.number, "template", "spec")
        least = 3 if path[0] in KINDS else 2 if path[0] == "volumes" else 1
        return self.case.wrote(self.storm, (*base, *path), (), len(base) + min(least, len(path)))

    def own(self, at: Path, container: Container) -> bool:
        """Whether a container at a path is the one that stormc renders: the engine's, or the proxy's."""
        return at[0] == "containers" and container.get("name") == (ROUTER if self.role == ROUTING else self.role)

    def containers(self) -> Iterator[tuple[Path, Container]]:
        """Every container with its path in the pod spec."""
        for kind in KINDS:
            for index, container in enumerate(self.spec.get(kind) or ()):
                yield (kind, index), container

    def mounts(self, volume: str) -> list[Mapping[str, Any]]:
        """The mounts of a volume in all containers."""
        return [
            mount
            for _, container in self.containers()
            for mount in container.get("volumeMounts") or ()
            if mount.get("name") == volume
        ]


def pods_of(case: Case) -> list[Pod]:
    """The pod templates of the app."""
    storm = next(manifest for manifest in case.manifests if manifest["kind"] == "StormService")
    roles = storm["spec"]["template"].get("spec", {}).get("roles", ())
    return [Pod(case, storm, index) for index in range(len(roles))]


def volume_field(pod: Pod, name: str) -> Path:
    """The field of the spec by which a volume is there; empty where none is."""
    if name == "model":
        return ("model", "volume") if pod.case.app.model.host_path else ("model", "path")
    pods = next((role for role in (*pod.case.app.serving_roles, pod.case.app.routing) if role.name == pod.role), None)
    own = next((volume.path for volume in getattr(pods, "volumes", ()) if volume.name == name), ())
    return own or (("engine", "script") if pod.case.app.engine.script else ())
