"""Waits until an app is ready, or until it is deleted.

A StormService may say Ready for a moment right after an update, from the RoleSet's old status, which has no
observedGeneration (AIBrix v0.5.0 stormservice/sync.go:338-408). So roles are looked at too, and two polls must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import POD, ROLE_SET, STORM_SERVICE, STORM_SERVICE_NAME, Manifest
from stormc.phrase import NONE, Phrase, phrase, verbatim
from stormc.targets.storm_service import roles

POLL_SECONDS = 2.0

Tell = Callable[[str], None]


def unready(service: Manifest | None, role_sets: Sequence[Manifest]) -> Phrase:
    """Why the app is not ready, empty when it is; judged from one look at its StormService and RoleSets."""
    if service is None:
        return phrase("the StormService does not exist")
    status = service.get("status") or {}
    if status.get("observedGeneration", -1) < service["metadata"].get("generation", 0):
        return phrase("the controller has not seen this generation yet")
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    for by_type in (conditions, *({c.get("type"): c for c in _status(r).get("conditions") or ()} for r in role_sets)):
        failure = by_type.get("ReplicaFailure", {})
        if failure.get("status") == "True":
            return verbatim(failure.get("message") or "ReplicaFailure")
    for role in roles(service):
        counts = [r for s in role_sets for r in _status(s).get("roles") or () if r.get("name") == role["name"]]
        ready = sum(count.get("updatedReadyReplicas", 0) for count in counts)
        desired = role["replicas"] * service["spec"]["replicas"]
        if ready < desired:
            return phrase("{role} {ready}/{desired} ready", role=role["name"], ready=ready, desired=desired)
    if conditions.get("Ready", {}).get("status") != "True":
        return phrase("roles are ready, the StormService is not yet")
    return NONE


def wait_ready(
    cluster: Cluster, namespace: str, app: str, timeout: float, tell: Tell, poll: float = POLL_SECONDS
) -> bool:
    """Tells every change of state; True once two polls in a row find the app ready, False at the timeout."""
    end = time.monotonic() + timeout
    last, agreed = None, 0
    while True:
        service = cluster.get(STORM_SERVICE, namespace, app)
        role_sets = cluster.find(ROLE_SET, namespace, {STORM_SERVICE_NAME: app}) or []
        reason = unready(service, role_sets)
        agreed = 0 if reason else agreed + 1
        if agreed == 2:
            tell(phrase("{app}: ready", app=app))
            return True
        if reason and reason != last:
            tell(phrase("{app}: {reason}", app=app, reason=reason))
        last = reason
        if time.monotonic() >= end:
            reason = reason or phrase("ready only once")
            tell(phrase("{app}: not ready after {seconds} s: {reason}", app=app, seconds=round(timeout), reason=reason))
            return False
        time.sleep(poll)


def wait_gone(
    cluster: Cluster, namespace: str, app: str, timeout: float, tell: Tell, poll: float = POLL_SECONDS
) -> bool:
    """True when StormService, RoleSets and pods are gone; False at the timeout, after telling what remains and why."""
    end = time.monotonic() + timeout
    while True:
        service = cluster.get(STORM_SERVICE, namespace, app)
        labels = {STORM_SERVICE_NAME: app}
        rest = [*([service] if service else []), *(cluster.find(ROLE_SET, namespace, labels) or ())]
        rest += cluster.find(POD, namespace, labels) or ()
        if not rest:
            return True
        if time.monotonic() >= end:
            for item in rest:
                tell(phrase("{kind}/{name} is still there: {reason}", kind=item["kind"],
                            name=item["metadata"]["name"], reason=reason_to_remain(item)))  # fmt: skip
            return False
        time.sleep(poll)


def reason_to_remain(item: Manifest) -> Phrase:
    """Why an object is not deleted yet."""
    metadata = item["metadata"]
    if not metadata.get("deletionTimestamp"):
        return phrase("nothing has asked for its deletion; is the AIBrix controller running?")
    finalizers = metadata.get("finalizers")
    if finalizers:
        return phrase("waits for finalizers {names}", names=", ".join(finalizers))
    on_node = phrase("its node has not confirmed the end of its containers")
    return on_node if item["kind"] == POD.name else phrase("being deleted")


def _status(item: Manifest) -> Manifest:
    status: Manifest = item.get("status") or {}
    return status
