"""What a pass yields: an object, a path in it, a value, and the reason."""

from __future__ import annotations

from typing import Any, NamedTuple

from stormc.model.app import App, Ref
from stormc.model.role import Reference

Item = tuple[str | int, ...]
"""A list item by its Kubernetes merge key: `("prefill",)` of roles, `(8080, "TCP")` of ports."""

Step = str | Item


class Edit(NamedTuple):
    """Sets one field of one object. `because` is a spec path, a profile fact or a rule id."""

    object: Ref
    path: tuple[Step, ...]
    value: Any
    because: str


class Removed:
    """The value of an edit that removes a field; only the overrides pass may yield it."""


REMOVED = Removed()


def storm(app: App) -> Ref:
    """The StormService of an app."""
    return Ref("StormService", app.name)


def role_path(role: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside a role of the StormService."""
    return ("spec", "template", "spec", "roles", (role,), *steps)


def pod_path(role: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside the pod spec of a role."""
    return role_path(role, "template", "spec", *steps)


def container_path(role: str, container: str, *steps: Step) -> tuple[Step, ...]:
    """A path inside a container of a role's pods."""
    return pod_path(role, "containers", (container,), *steps)


def env_entry(name: str, value: str | Reference) -> dict[str, Any]:
    """An env entry; an empty literal is left out, as Go leaves it out when it writes back."""
    if isinstance(value, Reference):
        return {"name": name, "valueFrom": dict(value.source)}
    return {"name": name, "value": value} if value else {"name": name}
