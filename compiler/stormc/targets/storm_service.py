"""What a StormService looks like: where its roles, pods and containers stand, and what tells its pods apart.

Sources: AIBrix v0.5.0 api/orchestration/v1alpha1, pkg/controller/constants/stormservice.go:19-47.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stormc.facts.keys import Label

Item = tuple[str | int, ...]
"""A list item by its Kubernetes merge key: `("prefill",)` of roles, `(8080, "TCP")` of ports."""
Step = str | Item

KIND = "StormService"
ROLES = ("spec", "template", "spec", "roles")


def role_path(role: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside a role."""
    return (*ROLES, (role,), *steps)


def pod_path(role: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside the pod spec of a role."""
    return (*ROLES, (role,), "template", "spec", *steps)


def container_path(role: str, container: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside a container of a role's pods."""
    return (*ROLES, (role,), "template", "spec", "containers", (container,), *steps)


def role_of(path: tuple[Step, ...]) -> str | None:
    """The role that a path leads through."""
    inside = len(path) > len(ROLES) and path[: len(ROLES)] == ROLES
    return str(path[len(ROLES)][0]) if inside and isinstance(path[len(ROLES)], tuple) else None


def service_in(manifests: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The StormService among some manifests, or None."""
    return next((manifest for manifest in manifests if manifest.get("kind") == KIND), None)


def storm_service(manifests: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The StormService among the manifests of an app, which always has one."""
    return next(manifest for manifest in manifests if manifest["kind"] == KIND)


def roles(manifest: Mapping[str, Any]) -> list[Any]:
    """The roles of a StormService that the API server accepts; none where an override took them away."""
    entries: list[Any] = manifest["spec"]["template"].get("spec", {}).get("roles", [])
    return entries


def pod_group_size(role: Mapping[str, Any]) -> int:
    """The pods of an instance of a role."""
    return int(role.get("podGroupSize") or 1)


def role_labels(service: str, role: str) -> dict[str, str]:
    """The labels of every pod of a role, as far as they are known before it starts."""
    return {Label.STORM_SERVICE: service, Label.ROLE: role}


def pod_labels(service: str, role: str, replica: int, member: int | None) -> dict[str, str]:
    """The labels that select one pod: an instance of a role, and its member where an instance has several pods."""
    own = {Label.ROLE_REPLICA: str(replica)} | ({} if member is None else {Label.POD_GROUP_INDEX: str(member)})
    return role_labels(service, role) | own
