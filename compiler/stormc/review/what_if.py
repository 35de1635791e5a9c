"""What one fault does to an app: which pods MindCluster and AIBrix delete, and what remains meanwhile.

Read from the finished pod templates, so an override of a fault label changes the answer. Sources:
ascend-for-volcano internal/rescheduling/job.go:409-450, reschedule.go:128-137 and 618-620 (MindCluster);
pkg/controller/roleset/rolesyncer.go:387-390, pkg/controller/podset/podset_controller.go:218-303 (AIBrix v0.5.0;
watched on v0.5.0 and v0.7.0: a failed pod of a group is never replaced by AIBrix).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from math import ceil
from typing import Any

from stormc.facts.keys import RECOVERING, Annotation, Label
from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.facts.pods import seconds_until_failure
from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.phrase import phrase, with_hint
from stormc.record import NamedTuple
from stormc.review.effect import npus_of
from stormc.targets.programs import is_proxy_config
from stormc.targets.storm_service import pod_group_size, service_in
from stormc.targets.storm_service import roles as roles_of

RESCHEDULING, RECOVER, SCHEDULING, RETRIES = (
    Label.POD_RESCHEDULING, Annotation.RECOVER_POLICY_PATH, Label.FAULT_SCHEDULING, Label.FAULT_RETRY_TIMES,
)  # fmt: skip


EVERY_ROLE = "all"
"""The role of a fault that hits every pod of an app."""


class Fault(Enum):
    """What breaks."""

    CHIP = "chip"
    PROCESS = "process"
    NODE = "node"
    ROUTER = "router"
    SUPER_POD = "super-pod"


class Handling(Enum):
    """Who brings the pods back; the value is what people read."""

    POD = phrase("MindCluster deletes and reschedules the pod")
    INSTANCE = phrase("MindCluster deletes and reschedules all pods of the instance")
    GANG = phrase("MindCluster deletes and reschedules all pods of the shared gang")
    EVERYTHING = phrase("MindCluster deletes and reschedules every gang that was in it")
    PEERS_STALE = phrase("MindCluster reschedules the pod alone; its peers keep a dead communication group")
    AIBRIX = phrase("AIBrix replaces the failed pod")
    NOBODY = phrase("nobody: the pods stay failed until they are deleted by hand")


class Consequence(NamedTuple):
    """One fault at one role.

    `pods` are deleted, `remaining` is the share of each serving role's instances that goes on, `retries` the budget of
    the PodGroup that the fault draws on (None: it draws on none), `gang` the NPUs that must be free at once to come
    back, `minutes` the limit of the load time. `alone` says that decode serves without prefill, as the proxy lets it.
    """

    fault: Fault
    role: str
    pods: int
    handling: Handling
    remaining: Mapping[str, float]
    retries: int | None
    gang: int
    minutes: int | None
    alone: bool = False

    @property
    def serves(self) -> bool:
        """Whether requests are answered: every role goes on, or decode does and the proxy lets it serve alone."""
        return self.alone or all(share > 0 for share in self.remaining.values())


def consequences(manifests: Sequence[Mapping[str, Any]], faults: Sequence[Fault] = tuple(Fault)) -> list[Consequence]:
    """Every fault at every role that it can hit, the worst first."""
    storm = service_in(manifests)
    roles = roles_of(storm) if storm else []
    outcomes = [one for fault in faults for one in _of(fault, roles)]
    if _falls_back(manifests):
        outcomes = [one._replace(alone=_only_prefill_is_gone(one.remaining)) for one in outcomes]
    return sorted(outcomes, key=lambda one: (one.serves, min(one.remaining.values(), default=1.0), -one.pods))


def _falls_back(manifests: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the proxy sends requests to decode alone where no prefill is left (docs/proxy.md, fallback)."""
    for manifest in manifests:
        if is_proxy_config(manifest):
            try:
                return bool(json.loads(manifest["data"]["config.json"]).get("fallback", True))
            except (LookupError, AttributeError, ValueError):  # an override may have left anything there
                return False
    return False


def _only_prefill_is_gone(remaining: Mapping[str, float]) -> bool:
    return [role for role, share in remaining.items() if share <= 0] == [SERVING_ROLES[0]]


def role_at(manifests: Sequence[Mapping[str, Any]], place: str) -> str:
    """The role that a place `role[/replica[/pod]]` is in. Raises Failure where the app has no such place."""
    name, *indices = place.split("/")
    storm = service_in(manifests)
    roles = {str(r["name"]): r for r in roles_of(storm)} if storm else {}
    if name not in roles:
        raise Failure(with_hint(phrase("no role {name}", name=name), did_you_mean(name, roles)))
    limits = (int(roles[name]["replicas"]), pod_group_size(roles[name]))
    if len(indices) > 2:
        raise Failure(phrase("{place} has more parts than role/replica/pod", place=place))
    for word, index, limit in zip(("replica", "pod"), indices, limits, strict=False):
        if not index.isdecimal() or int(index) >= limit:
            raise Failure(
                phrase(
                    "no {word} {index} of {name}; there are {limit}, counted from 0",
                    word=word,
                    index=index,
                    name=name,
                    limit=limit,
                )
            )
    return name


def _of(fault: Fault, roles: Sequence[Mapping[str, Any]]) -> Iterator[Consequence]:
    serving = [role for role in roles if npus_of(role)]
    if fault is Fault.ROUTER:
        for role in roles:
            if role["name"] == ROUTING and not npus_of(role):
                remaining = {ROUTING: 1 - 1 / max(int(role["replicas"]), 1), **{str(r["name"]): 1.0 for r in serving}}
                yield Consequence(fault, ROUTING, 1, Handling.AIBRIX, remaining, None, 0, None)
        return
    if fault is Fault.SUPER_POD:
        if serving:
            yield _everything(serving)
        return
    for role in serving:
        yield _at(fault, role, serving)


def _at(fault: Fault, role: Mapping[str, Any], serving: Sequence[Mapping[str, Any]]) -> Consequence:
    handling = _handling(fault, role)
    size, shared = pod_group_size(role), [other for other in serving if pod_group_size(other) == 1]
    whole = handling is Handling.GANG
    down = {str(r["name"]): int(r["replicas"]) for r in shared} if whole else {str(role["name"]): 1}
    pods = sum(down.values()) if whole else 1 if handling in (Handling.POD, Handling.AIBRIX) else size
    npus = sum(npus_of(r) * int(r["replicas"]) for r in shared) if whole else npus_of(role) * pods
    remaining = {
        str(r["name"]): 1 - down.get(str(r["name"]), 0) / max(int(r["replicas"]), 1) for r in serving
    }  # fmt: skip
    retries = _retries(role) if fault is Fault.PROCESS and handling is not Handling.AIBRIX else None
    return Consequence(fault, str(role["name"]), pods, handling, remaining, retries, npus, _minutes(role))


def _handling(fault: Fault, role: Mapping[str, Any]) -> Handling:
    """What becomes of a pod with a fault, by the labels that MindCluster reads."""
    labels, annotations = _metadata(role, "labels"), _metadata(role, "annotations")
    off = labels.get(SCHEDULING) not in RECOVERING
    alone, group = labels.get(RESCHEDULING) == "on", pod_group_size(role) > 1
    by_path = annotations.get(RECOVER) == "pod"
    if fault is Fault.PROCESS and not group:
        return Handling.AIBRIX  # the RoleSet controller deletes failed pods itself, with or without a budget
    if off or (fault is Fault.PROCESS and not _retries(role)):
        return Handling.NOBODY
    if group:
        return Handling.PEERS_STALE if alone or by_path else Handling.INSTANCE
    return Handling.POD if by_path else Handling.GANG


def _everything(serving: Sequence[Mapping[str, Any]]) -> Consequence:
    """The worst case of a super pod that fails: all of the app was in it."""
    pods = sum(int(role["replicas"]) * pod_group_size(role) for role in serving)
    npus = sum(int(role["replicas"]) * pod_group_size(role) * npus_of(role) for role in serving)
    off = any(_metadata(role, "labels").get(SCHEDULING) not in RECOVERING for role in serving)
    minutes = [minutes for role in serving if (minutes := _minutes(role)) is not None]
    return Consequence(
        Fault.SUPER_POD, EVERY_ROLE, pods, Handling.NOBODY if off else Handling.EVERYTHING,
        {str(role["name"]): 0.0 for role in serving}, None, npus, max(minutes, default=None),
    )  # fmt: skip


def _metadata(role: Mapping[str, Any], which: str) -> Mapping[str, str]:
    return role["template"].get("metadata", {}).get(which) or {}


def _retries(role: Mapping[str, Any]) -> int:
    value = str(_metadata(role, "labels").get(RETRIES, "0"))
    return int(value) if value.isdecimal() else 0


def _minutes(role: Mapping[str, Any]) -> int | None:
    for container in role["template"]["spec"].get("containers") or ():
        if probe := container.get("startupProbe"):
            return ceil(seconds_until_failure(probe) / 60)
    return None
