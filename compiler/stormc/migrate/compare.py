"""A StormService as a flat table of values, where two of them differ, and the patch that turns one into the other.

What Kubernetes or AIBrix reads alike is equal here: quantities, defaults, zero values that Go leaves out, a command
with its arguments, and volumes by what is mounted where, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts import keys
from stormc.facts.keys import Label
from stormc.facts.kinds import merge_key
from stormc.model.quantity import canonical
from stormc.record import NamedTuple
from stormc.targets.storm_service import KIND, ROLES, Step
from stormc.tree.compare import differing, leaves

TablePath = tuple[Step, ...]
Table = dict[TablePath, Any]
Value = Any

POD: TablePath = ("template", "spec")

WHOLE = frozenset([
    "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "securityContext", "affinity", "valueFrom",
    "topologySpreadConstraints", "tolerations", "updateStrategy", "schedulingStrategy", "command", "args", "source",
    "dnsConfig", "disruptionTolerance", "env", "volumeMounts", "ports", "imagePullSecrets",
])  # fmt: skip
"""Fields of which a part means nothing without the rest; in a list of these names, each item is one value."""

_DEFAULTS: Mapping[str, Any] = {
    "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
}  # fmt: skip
_ZERO = frozenset([
    "hostNetwork", "hostPID", "hostIPC", "readOnly", "stateful", "paused", "stdin", "tty", "initialDelaySeconds",
    "value",
])  # fmt: skip
"""Fields whose false, zero or empty value Go leaves out (AIBrix's webhook, omitempty)."""
_LABEL_DEFAULTS = {Label.FAULT_SCHEDULING: "off", Label.SUB_HEALTHY_STRATEGY: "ignore", Label.FAULT_RETRY_TIMES: "0"}
"""Labels that mean the same when they are absent (ascend-for-volcano plugin/job.go:607-615, 714-732)."""
_SERVER = (
    "creationTimestamp", "generation", "resourceVersion", "uid", "managedFields", "finalizers", "ownerReferences",
    "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_MARKS = (
    keys.KUBECTL_PREFIX, keys.ARGOCD_PREFIX, keys.FLUX_PREFIX, keys.HELM_RELEASE_PREFIX, keys.HELM_PREFIX,
    keys.STORMC_PREFIX, Label.MANAGED_BY,
)  # fmt: skip
"""Prefixes of the labels and annotations of the tools that apply objects; they say nothing about the app."""


class ValueDifference(NamedTuple):
    """A place where our manifest and the original differ; None where one of them has nothing."""

    path: TablePath
    ours: Value
    theirs: Value


def is_mount(path: TablePath) -> bool:
    """Whether a path is that of one volume mount in a container of a role."""
    below = path[len(ROLES) + 1 :] if path[: len(ROLES)] == ROLES else ()
    kinds = tuple(step if isinstance(step, str) else "" for step in below)
    return kinds in ((*POD, "containers", "", "volumeMounts", ""), (*POD, "initContainers", "", "volumeMounts", ""))


def value_differences(ours: Table, theirs: Table) -> list[ValueDifference]:
    """Every difference of two tables, in the order of ours, then of theirs."""
    return [ValueDifference(path, ours.get(path), theirs.get(path)) for path in differing(ours, theirs)]


def table(storm: Mapping[str, Any], engines: Mapping[str, str]) -> Table:
    """The values of a StormService by path; `engines` maps a role to the container that is renamed after the role."""
    metadata = {key: value for key, value in storm.get("metadata", {}).items() if key not in _SERVER}
    for field in ("labels", "annotations"):
        own = {k: v for k, v in (metadata.get(field) or {}).items() if not k.startswith(_MARKS)}
        metadata[field] = {k: v for k, v in own.items() if not k.startswith(keys.APP_PREFIX)}
    spec = dict(storm.get("spec") or {})
    meanings = dict(_flat(("metadata",), {"namespace": "default", **metadata}))
    template = spec.pop("template", None) or {}
    inner = dict(template.get("spec") or {})
    roles = inner.pop("roles", None) or []
    meanings |= _flat(("spec",), spec)
    meanings |= _flat(("spec", "template", "metadata"), template.get("metadata") or {})
    meanings |= _flat(("spec", "template", "spec"), inner)
    for role in roles:
        meanings |= _role(role, engines.get(role.get("name", "")))
    return meanings


def _role(role: Mapping[str, Any], engine: str | None) -> Iterator[tuple[TablePath, Value]]:
    name = role.get("name", "")
    at = (*ROLES, (name,))
    fields = {**role, "podGroupSize": role.get("podGroupSize") or 1}
    fields.pop("name", None)
    template = fields.pop("template", None) or {}
    yield from _flat(at, fields)
    metadata = dict(template.get("metadata") or {})
    labels = metadata.get("labels") or {}
    metadata["labels"] = {k: v for k, v in labels.items() if _LABEL_DEFAULTS.get(k) != v}
    metadata.pop("creationTimestamp", None)
    yield from _flat((*at, "template", "metadata"), metadata)
    pod = dict(template.get("spec") or {})
    volumes = {v.get("name"): {k: w for k, w in v.items() if k != "name"} for v in pod.pop("volumes", None) or ()}
    for field in ("containers", "initContainers"):
        containers = [_container(c, volumes) for c in pod.get(field) or ()]
        pod[field] = [{**c, "name": name} if c.get("name") == engine else c for c in containers]
    yield from _flat((*at, *POD), pod)


def _container(container: Mapping[str, Any], volumes: Mapping[Any, Any]) -> dict[str, Any]:
    settled = dict(container)
    if settled.get("command"):
        settled["command"] = [*settled["command"], *(settled.pop("args", None) or ())]
    resources = dict(settled.get("resources") or {})
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
    for kind in ("limits", "requests"):
        resources[kind] = {name: _amount(amount) for name, amount in (resources.get(kind) or {}).items()}
    settled["resources"] = resources
    settled["ports"] = [{**port, "protocol": port.get("protocol") or "TCP"} for port in settled.get("ports") or ()]
    settled["volumeMounts"] = [
        {**{k: v for k, v in mount.items() if k != "name"}, "source": _source(volumes.get(mount.get("name")) or {})}
        for mount in settled.get("volumeMounts") or ()
    ]
    return settled


def _source(volume: Mapping[str, Any]) -> dict[str, Any]:
    """What a volume is made of, without what means nothing."""
    source: dict[str, Any] = {}
    for kind, fields in volume.items():
        if not isinstance(fields, dict):
            source[kind] = fields or {}
            continue
        inner = {k: v for k, v in fields.items() if v not in (None, "", False)}
        if "sizeLimit" in inner:
            inner["sizeLimit"] = _amount(inner["sizeLimit"])
        source[kind] = inner
    return source


def _amount(value: Any) -> Any:
    try:
        return canonical(value)
    except (ValueError, TypeError):
        return value


def _flat(path: TablePath, node: Mapping[str, Any]) -> Iterator[tuple[TablePath, Value]]:
    """The leaves without defaults, and without the empty values that Go leaves out."""
    for where, value in leaves(KIND, node, WHOLE, path):
        key = where[-1]
        if not isinstance(key, str):  # an item; one that is taken apart means nothing without fields
            if where[-2] in WHOLE:
                yield where, {k: _settled(v) for k, v in value.items() if v not in (None, "", False)}
        elif not (value in (None, "", [], {}) or _DEFAULTS.get(key, ...) == value or (key in _ZERO and not value)):
            yield where, _settled(value)


def _settled(value: Any) -> Any:
    """A value without what Go leaves out, and a field reference without its only version."""
    if isinstance(value, dict):
        return {
            k: _settled(v) for k, v in value.items()
            if v is not None and not (k in _ZERO and not v) and (k, v) != ("apiVersion", "v1")
        }  # fmt: skip
    return [_settled(item) for item in value] if isinstance(value, list) else value


def patch(difference: ValueDifference, mounted: Mapping[str, Any], taken: frozenset[str]) -> dict[str, Any]:
    """The strategic merge patch that gives our manifest the value of the original at this place.

    `mounted` is the original's volume behind a mount, `taken` are the names of our volumes.
    """
    path, ours, theirs = difference
    value = _replacing(ours, theirs)
    if is_mount(path):
        name = mounted["name"] if mounted["name"] not in taken else f"{mounted['name']}-imported"
        value = {key: _replacing((ours or {}).get(key), item) for key, item in value.items() if key != "source"}
        value["name"] = name
        container = path.index("containers") if "containers" in path else path.index("initContainers")
        volume = _nested((*path[:container], "volumes", (name,)), {k: v for k, v in mounted.items() if k != "name"})
        return merged(_nested(path, value), volume)
    return _nested(path, value)


def _replacing(ours: Value, theirs: Value) -> Value:
    """What turns our value into theirs when it is merged: null for every key that only we have."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        removed = {key: None for key in ours if key not in theirs}
        return {**{key: _replacing(ours.get(key), value) for key, value in theirs.items()}, **removed}
    return theirs


def _nested(path: TablePath, value: Value) -> dict[str, Any]:
    for step, before in zip(reversed(path), (*reversed(path[:-1]), ""), strict=True):
        if isinstance(step, tuple):
            keys = merge_key(KIND, str(before)) or ("name",)
            value = [{**dict(zip(keys, step, strict=True)), **(value if isinstance(value, dict) else {})}]
        else:
            value = {step: value}
    nested: dict[str, Any] = value
    return nested


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two patches as one; items of lists come together by their merge keys."""
    result = dict(one)
    for key, value in other.items():
        keys = merge_key(KIND, key) if isinstance(value, list) else None
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif keys and isinstance(result.get(key), list):
            items = {tuple(item.get(k) for k in keys): item for item in result[key]}
            for item in value:
                at = tuple(item.get(k) for k in keys)
                items[at] = merged(items[at], item) if at in items else item
            result[key] = list(items.values())
        else:
            result[key] = value
    return result


def shown_path(path: TablePath) -> tuple[str, str]:
    """The role of a path, empty above roles, and the rest as people write it."""
    role = ""
    if path[: len(ROLES)] == ROLES and len(path) > len(ROLES):
        role, path = str(path[len(ROLES)][0]), path[len(ROLES) + 1 :]
        path = path[2:] if path[:2] == POD else path[1:] if path[:1] == ("template",) else path
        if path[:2] == ("containers", (role,)):
            path = path[2:]
    text = ""
    for step in path:
        if isinstance(step, tuple):
            text += f"[{step[0]}]"
        else:
            text += f".{step}" if text else str(step)
    return role, text
