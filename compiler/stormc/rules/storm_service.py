"""The finished StormService as rules see it: every pod template, and the place of the spec that wrote a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from stormc.facts.kinds import merge_key
from stormc.finding import Path
from stormc.model.app import App, Override, Pods, Role
from stormc.model.profile import Platform
from stormc.record import NamedTuple
from stormc.targets.storm_service import Step, role_path, roles

MAPS = {"labels": "labels", "annotations": "annotations", "nodeSelector": "node_selector", "env": "env"}
"""Fields of a role that are the user's own maps, and their names in the model."""
_METADATA = ("labels", "annotations")


class Template(NamedTuple):
    """A role of the finished StormService. Whatever is absent there is empty here."""

    role: str
    entry: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    pod: Mapping[str, Any]
    environment: tuple[tuple[str, str, Mapping[str, Any]], ...]
    """Container, name and entry of every variable, those of init containers left out."""

    @property
    def node_selector(self) -> Mapping[str, str]:
        """The node labels that the pods ask for."""
        return self.pod.get("nodeSelector") or {}

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """The containers of the pods, without init containers."""
        return self.pod.get("containers") or []


class StormService:
    """An app with its finished StormService, whose shape the API server accepts."""

    def __init__(self, app: App, platform: Platform, manifest: Mapping[str, Any]) -> None:
        self.app, self.platform, self.manifest = app, platform, manifest

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """Every role in order, the user's own additions included."""
        return tuple(map(_template, roles(self.manifest)))

    @cached_property
    def serving(self) -> tuple[tuple[Role, Template], ...]:
        """Prefill and decode with their templates, as far as an override left them there."""
        return tuple((role, t) for role in self.app.serving_roles for t in self.templates if t.role == role.name)

    @cached_property
    def sharing(self) -> tuple[tuple[Role, Template], ...]:
        """The serving roles whose pods sit in the shared PodGroup."""
        return tuple((role, t) for role, t in self.serving if role.shares_pod_group)

    def pods(self, role: str) -> Pods | None:
        """The model of a role, or None for a role that an override added."""
        return next((r for r in (*self.app.serving_roles, self.app.routing) if r.name == role), None)

    def wrote(self, steps: tuple[Step, ...], otherwise: Path) -> Path:
        """The spec path that wrote a field of the StormService: the last override that names it, or `otherwise`."""
        if not self.app.overrides:
            return otherwise
        return patched_at(self.app.overrides, self.manifest, steps) or otherwise

    def wrote_role(self, role: str, steps: tuple[Step, ...], otherwise: Path) -> Path:
        """As `wrote`, for a field of a role."""
        if not self.app.overrides:
            return otherwise
        return self.wrote(role_path(role, *steps), otherwise)

    def wrote_pod(self, role: str, steps: tuple[Step, ...], otherwise: Path) -> Path:
        """As `wrote`, for a field of a role's pod spec."""
        return self.wrote_role(role, ("template", "spec", *steps), otherwise)

    def wrote_key(self, role: str, table: str, key: str, otherwise: Path = ()) -> Path:
        """The spec path that wrote a label, an annotation or a node selector: override, the user's map, or a field."""
        steps: tuple[Step, ...] = ("template", "metadata", table, key)
        if table not in _METADATA:
            steps = ("template", "spec", table, key)
        return self.wrote_role(role, steps, self._in_map(role, table, key) or otherwise or (role,))

    def wrote_env(self, role: str, container: str, name: str) -> Path:
        """The spec path that wrote an environment variable."""
        pods = self.pods(role)
        where = pods.env_path(name) if pods is not None and name in pods.env else (role,)
        return self.wrote_pod(role, ("containers", (container,), "env", (name,)), where)

    def _in_map(self, role: str, table: str, key: str) -> Path:
        pods = self.pods(role)
        return (role, table, key) if pods is not None and key in getattr(pods, MAPS[table]) else ()


def _template(entry: Mapping[str, Any]) -> Template:
    template = entry.get("template") or {}
    metadata = template.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    pod = template.get("spec") or {}
    containers = pod.get("containers") or ()
    variables = tuple([(c["name"], entry["name"], entry) for c in containers for entry in c.get("env") or ()])
    return Template(entry.get("name", ""), entry, labels, annotations, pod, variables)


def patched_at(overrides: Sequence[Override], manifest: Mapping[str, Any], steps: tuple[Step, ...]) -> Path:
    """Where the last override that names a field of a manifest does so; empty where none does."""
    name = (manifest.get("metadata") or {}).get("name")
    for index in range(len(overrides) - 1, -1, -1):
        override = overrides[index]
        if override.kind == manifest.get("kind") and override.name in (None, name):
            inside = _inside(override, steps)
            if inside is not None:
                return ("overrides", index, "patch", *inside)
    return ()


def patched_near(overrides: Sequence[Override], manifest: Mapping[str, Any], path: Path) -> Path:
    """As `patched_at`, for a path into the manifest, or for the nearest field around it that an override names."""
    steps: list[Step] = []
    node: Any = manifest
    for step in path:
        node = node[step] if isinstance(step, int) else (node or {}).get(step)
        steps.append(step if isinstance(step, str) else _identity(manifest.get("kind"), steps, node))
    for length in range(len(steps), 0, -1):
        place = patched_at(overrides, manifest, tuple(steps[:length]))
        if place:
            return place
    return ()


def _inside(override: Override, steps: tuple[Step, ...]) -> Path | None:
    """Where a patch sets the field that the steps lead to, or something around it; None where it does not."""
    node: Any = override.patch
    path: list[str | int] = []
    for step in steps:
        if isinstance(step, tuple):
            if not step or not isinstance(node, list):
                break  # a list without a merge key is replaced as a whole
            index = next((i for i, item in enumerate(node) if _identity(override.kind, path, item) == step), None)
            if index is None:
                return None
            path.append(index)
            node = node[index]
        else:
            if not isinstance(node, Mapping):
                break
            if step not in node:
                return None
            path.append(step)
            node = node[step]
    return tuple(path)


def _identity(kind: object, path: Sequence[Step | int], item: Any) -> tuple[str | int, ...]:
    """The merge key of an item of the list that the path ends with."""
    keys = merge_key(str(kind), str(path[-1]) if path else "") or ()
    return tuple(item.get(key, "") for key in keys) if isinstance(item, Mapping) else ()


def host_ports(service: StormService) -> tuple[tuple[int, int, str], ...]:
    """The ports of engines that have their node's network and may share the node with another of them.

    First and last port of a range, and the field that says where it begins.
    """
    app = service.app
    ranges: list[tuple[int, int, str]] = []
    for role, template in service.serving:
        if template.pod.get("hostNetwork") and 2 * role.npus <= app.profile.npus:
            ranks = (role.ports[0], role.ports[-1], f"{role.name}.port")
            transfer = (role.kv_ports[0], role.kv_ports[-1], ".".join(map(str, role.kv_port_path)))
            ranges += [ranks, transfer] * min(2, role.replicas * role.pod_group_size)
    return tuple(ranges)
