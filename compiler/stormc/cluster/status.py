"""The status of an app on a cluster: StormService, RoleSets, PodSets, PodGroups and pods by role.

Every field of a status may be missing: AIBrix v0.5.0 writes none while the headless Service fails, and never writes
roleStatuses (stormservice/sync.go:73-113,338-408).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import (
    EVENT,
    POD,
    POD_GROUP,
    POD_SET,
    ROLE_SET,
    STORM_SERVICE,
    STORM_SERVICE_NAME,
    Manifest,
    title,
)  # fmt: skip
from stormc.cluster.wait import unready
from stormc.facts.keys import HUAWEI_PREFIX, Label, Resource
from stormc.facts.limits import SERVING_ROLES
from stormc.record import NamedTuple
from stormc.targets.programs import router_service_name

REPLICA = Label.ROLE_REPLICA
IN_GROUP = Label.POD_GROUP_INDEX
NPU_PREFIXES = (f"{HUAWEI_PREFIX}Ascend", Resource.NPU)


class PodRow(NamedTuple):
    """One pod; slot is replica, or replica-member in instances of several pods."""

    name: str
    role: str
    slot: str
    phase: str
    ready: bool
    node: str
    npus: int
    restarts: int
    age: int | None
    message: str


class RoleRow(NamedTuple):
    """One role of the StormService; counts are instances, not pods."""

    name: str
    desired: int
    ready: int
    pods: tuple[PodRow, ...]


class GroupRow(NamedTuple):
    """What lies between StormService and pods: a RoleSet, a PodSet or a PodGroup, with what it complains about."""

    object: str
    state: str
    message: str


class InstanceRow(NamedTuple):
    """One engine as the proxy sees it: its address, whether requests go there, and what it has done."""

    role: str
    address: str
    state: str
    active: int
    failures: int
    requests: int


class AppStatus(NamedTuple):
    """All that is known of one app."""

    name: str
    namespace: str
    problem: str
    roles: tuple[RoleRow, ...]
    groups: tuple[GroupRow, ...]
    drift: tuple[str, ...]
    instances: tuple[InstanceRow, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self.problem


class AppObjects(NamedTuple):
    """The objects of an app on a cluster, and the events of its namespace; any of them may be missing."""

    service: Manifest | None = None
    role_sets: Sequence[Manifest] = ()
    pod_sets: Sequence[Manifest] = ()
    pod_groups: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()


def app_status(cluster: Cluster, namespace: str, app: str, drift: Iterable[str], now: datetime) -> AppStatus:
    """The status of an app, whose drift is known; kinds that the cluster lacks are left out. Raises Failure."""
    labels = {STORM_SERVICE_NAME: app}
    objects = AppObjects(
        cluster.get(STORM_SERVICE, namespace, app),
        cluster.find(ROLE_SET, namespace, labels) or (),
        cluster.find(POD_SET, namespace, labels) or (),
        cluster.find(POD_GROUP, namespace) or (),
        cluster.find(POD, namespace, labels) or (),
        cluster.find(EVENT, namespace) or (),
    )
    status = build_status(objects, namespace, app, tuple(drift), now)
    return status._replace(
        instances=instances(cluster.ask_service(namespace, router_service_name(app), "http", "status"))
    )


def instances(answer: Manifest | None) -> tuple[InstanceRow, ...]:
    """The proxy's table of instances from its /status; empty without an answer, or for one of another form."""
    rows = []
    for role in SERVING_ROLES:
        listed = (answer or {}).get(role)
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and "address" in item:
                counts = [int(item.get(field) or 0) for field in ("active", "failures", "requests")]
                rows.append(InstanceRow(role, str(item["address"]), str(item.get("state", "")), *counts))
    return tuple(rows)


def build_status(objects: AppObjects, namespace: str, app: str, drift: tuple[str, ...], now: datetime) -> AppStatus:
    """The status of an app from its objects, of which any part may be missing. `now` counts the ages of pods."""
    service, role_sets, pod_sets, pod_groups, pods, events = objects
    owners = {item["metadata"].get("uid") for item in (*role_sets, *pod_sets)} - {None}
    groups = [*role_sets, *pod_sets]
    # Volcano makes PodGroups itself, one for each owner of pods: podgroup-<uid of the RoleSet or PodSet>.
    groups += [g for g in pod_groups if {o.get("uid") for o in g["metadata"].get("ownerReferences") or ()} & owners]
    rows = sorted((_pod(pod, now) for pod in pods), key=lambda row: (row.role, row.slot, row.name))
    role_specs = _roles(service)
    names = dict.fromkeys((*(role["name"] for role in role_specs), *(row.role for row in rows)))
    times = ((service or {}).get("spec") or {}).get("replicas", 1)
    reported = [role for item in role_sets for role in _status(item).get("roles") or ()]
    roles = tuple(
        RoleRow(
            name, sum(role.get("replicas", 0) * times for role in role_specs if role["name"] == name),
            sum(role.get("readyReplicas", 0) for role in reported if role.get("name") == name),
            tuple(row for row in rows if row.role == name),
        )
        for name in names
    )  # fmt: skip
    problem = unready(service, role_sets)
    return AppStatus(app, namespace, problem, roles, tuple(_group(g, events) for g in groups), drift)


def _roles(service: Manifest | None) -> list[dict[str, Any]]:
    spec = ((service or {}).get("spec") or {}).get("template", {}).get("spec") or {}
    return list(spec.get("roles") or ())


def _group(item: Manifest, events: Iterable[Manifest]) -> GroupRow:
    status = _status(item)
    message = ""
    if item["kind"] == ROLE_SET.name:
        state = "Ready" if _condition(status, "Ready") else "NotReady"
        message = str((_condition(status, "ReplicaFailure") or {}).get("message", ""))
    elif item["kind"] == POD_SET.name:  # it has no conditions: its errors are events
        state = f"{status.get('phase', 'Unknown')} {status.get('readyPods', 0)}/{status.get('totalPods', 0)}"
        message = next(_warnings(item, events), "")
    else:
        state = str(status.get("phase", "Unknown"))
        message = str((_condition(status, "Unschedulable") or {}).get("message", ""))
    return GroupRow(title(item), state, message)


def _warnings(item: Manifest, events: Iterable[Manifest]) -> Iterator[str]:
    own = [e for e in events if e.get("type") == "Warning" and _about(e) == (item["kind"], item["metadata"]["name"])]
    for event in sorted(own, key=lambda e: str(e.get("lastTimestamp") or ""), reverse=True):
        yield str(event.get("message", ""))


def _about(event: Manifest) -> tuple[str, str]:
    about = event.get("involvedObject") or {}
    return about.get("kind", ""), about.get("name", "")


def _pod(pod: Manifest, now: datetime) -> PodRow:
    metadata, status, spec = pod["metadata"], _status(pod), pod.get("spec") or {}
    labels = metadata.get("labels") or {}
    slot = labels.get(REPLICA, "")
    if IN_GROUP in labels:
        slot += f"-{labels[IN_GROUP]}"
    containers = status.get("containerStatuses") or []
    limits = [(c.get("resources") or {}).get("limits") or {} for c in spec.get("containers") or ()]
    npus = sum(int(value) for limit in limits for key, value in limit.items() if key.startswith(NPU_PREFIXES))
    phase = "Terminating" if metadata.get("deletionTimestamp") else status.get("phase", "Unknown")
    created = metadata.get("creationTimestamp")
    age = int((now - datetime.fromisoformat(created).astimezone(UTC)).total_seconds()) if created else None
    return PodRow(
        metadata["name"], labels.get(Label.ROLE, ""), slot, phase, bool(_condition(status, "Ready")),
        spec.get("nodeName", ""), npus, sum(c.get("restartCount", 0) for c in containers), age, _trouble(status),
    )  # fmt: skip


def _trouble(status: Manifest) -> str:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting:
            return ": ".join(str(waiting[key]) for key in ("reason", "message") if waiting.get(key))
        if ended.get("exitCode"):
            return f"{container.get('name')} ended with {ended['exitCode']} {ended.get('reason', '')}".rstrip()
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return str(status.get("message") or "")


def _condition(status: Manifest, name: str) -> Manifest | None:
    conditions = status.get("conditions") or ()
    return next((c for c in conditions if c.get("type") == name and c.get("status") == "True"), None)


def _status(item: Manifest) -> Manifest:
    status: Manifest = item.get("status") or {}
    return status
