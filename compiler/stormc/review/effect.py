"""What a change does to running pods: the manifests of one app before and after, as AIBrix and Kubernetes act on them.

Everything here holds under `updateStrategy: InPlaceUpdate`, which stormc writes: AIBrix replaces a role's pods exactly
when the hash of the role's pod template changes (AIBrix v0.5.0 pkg/controller/roleset/rolling.go). Watched on v0.5.0,
v0.6.0 and v0.7.0 with live pods; docs/restarts.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import Any

from stormc.facts.keys import HUAWEI_PREFIX
from stormc.facts.limits import ROUTING
from stormc.facts.pods import seconds_until_failure
from stormc.load.releases import AIBrix
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.review.template import Change, Field, as_stored, changes
from stormc.targets.programs import is_proxy_config
from stormc.targets.storm_service import pod_group_size, service_in
from stormc.targets.storm_service import roles as roles_of

Manifest = Mapping[str, Any]


class What(Enum):
    """What happens to the pods of a role, the mildest first; the value is what people read."""

    NOTHING = phrase("nothing")
    RELOADED = phrase("configuration reloaded")
    SCALED = phrase("scaled")
    ROUTING_RESTARTS = phrase("routing pods restart")
    RECREATED = phrase("pods are recreated")
    CREATED = phrase("created")
    ORPHANED = phrase("pods are orphaned")
    NEW_ROLE_SET = phrase("the whole RoleSet is new")
    CANNOT_CHANGE = phrase("cannot change in place")
    DELETED = phrase("the service is deleted")


SEVERITY = {what: rank for rank, what in enumerate(What)}
ONE_BY_ONE = (What.RECREATED, What.ROUTING_RESTARTS)
"""What AIBrix does role by role, `maxUnavailable` instances at a time."""


@dataclass(frozen=True)
class RoleEffect:
    """One role. Counts are pods; `npus_per_pod` are those before and after.

    `away` is the largest share of the role's instances that is down at a time, `at_once` says that all old pods end
    together, before any role is updated in its order. `minutes` is how long the replacement of all takes at most (None:
    nobody knows), `measured` says that the minutes are no limit but come from `engine.loadMinutes`.
    """

    role: str
    what: tuple[What, ...]
    instances: tuple[int, int]
    recreated: int = 0
    added: int = 0
    removed: int = 0
    orphaned: int = 0
    gangs: int = 0
    npus_per_pod: tuple[int, int] = (0, 0)
    away: float = 0.0
    at_once: bool = False
    minutes: int | None = None
    measured: bool = False
    changes: tuple[Change, ...] = ()

    @property
    def worst(self) -> What:
        """The gravest of what happens."""
        return max(self.what, key=SEVERITY.__getitem__)

    @property
    def disturbed_npus(self) -> int:
        """The NPUs of pods that are replaced, removed or left behind."""
        return self.recreated * self.npus_per_pod[1] + (self.removed + self.orphaned) * self.npus_per_pod[0]

    @property
    def npus(self) -> int:
        """The NPUs of all pods that are recreated, added, removed or left behind."""
        return self.disturbed_npus + self.added * self.npus_per_pod[1]


@dataclass(frozen=True)
class AppEffect:
    """All roles of an app in the order in which AIBrix updates them, those first that go all at once.

    `keeps` says how to avoid a restart, where that is possible.
    """

    roles: tuple[RoleEffect, ...]
    keeps: Keeps | None = None

    @property
    def worst(self) -> What:
        """The gravest of what happens to any role."""
        return max((role.worst for role in self.roles), key=SEVERITY.__getitem__, default=What.NOTHING)

    @property
    def disturbed_npus(self) -> int:
        """The NPUs of pods that are replaced, deleted or left behind; pods of new services do not count."""
        return sum(role.disturbed_npus for role in self.roles if SEVERITY[role.worst] >= SEVERITY[What.RECREATED])

    @property
    def restarts_npus(self) -> bool:
        """Whether pods that hold NPUs are replaced, deleted or left behind."""
        return self.disturbed_npus > 0


@dataclass(frozen=True)
class Keeps:
    """`minAvailable: value` in these roles keeps their running pods, because only the shared gang size changes."""

    roles: tuple[str, ...]
    value: int


def effect(
    before: Sequence[Manifest] | None,
    after: Sequence[Manifest] | None,
    releases: tuple[AIBrix, AIBrix] | None = None,
    load_minutes: int | None = None,
) -> AppEffect:
    """What AIBrix does to the pods of one app when `after` replaces `before`; None is an app that is not there.

    `releases` are those of AIBrix before and after (both: that of a platform file that names none). `load_minutes` are
    the measured minutes until an engine pod is ready.
    """
    old, new = (_roles(side) for side in (before, after))
    if not old or not new:
        what = What.CREATED if new else What.DELETED
        measured = load_minutes is not None
        whole = [_whole(role, what, load_minutes) for role in (new or old).values()]
        return AppEffect(tuple(replace(role, measured=measured and any(role.npus_per_pod)) for role in whole))
    assert before is not None and after is not None
    releases = releases or (Platform().aibrix, Platform().aibrix)
    everything = _for_all(before, after, releases)
    cause = _upgrade(releases) if everything is What.RECREATED else ()
    pairs = [(old.get(name), new.get(name)) for name in {**new, **old}]
    roles = [_role(one, other, releases[1], everything, load_minutes) for one, other in pairs]
    roles = [replace(role, changes=(*cause, *role.changes)) if role.recreated else role for role in roles]
    roles = [_reloaded(role, before, after) for role in roles]
    order = {name: role.get("upgradeOrder", 2**31) for name, role in {**old, **new}.items()}
    if load_minutes is not None:
        roles = [replace(role, measured=any(role.npus_per_pod)) for role in roles]
    roles.sort(key=lambda role: (not role.at_once, order[role.role]))
    return AppEffect(tuple(roles), _way_round(roles, new))


def _roles(manifests: Sequence[Manifest] | None) -> dict[str, Manifest]:
    storm = service_in(manifests or ())
    return {str(role["name"]): role for role in roles_of(storm)} if storm else {}


def _for_all(before: Sequence[Manifest], after: Sequence[Manifest], releases: tuple[AIBrix, AIBrix]) -> What | None:
    """What happens to every role, whatever its own template says."""
    old, new = service_in(before), service_in(after)
    assert old is not None and new is not None
    if old["spec"]["selector"] != new["spec"]["selector"]:
        return What.CANNOT_CHANGE  # the RoleSets of the old selector are no longer counted, and stay
    if new["spec"].get("updateStrategy", {}).get("type") != "InPlaceUpdate" and _differ(old, new, "template"):
        return What.NEW_ROLE_SET
    # AIBrix compares a hash of the template with the one on the pod, and both have the length of their release.
    return What.RECREATED if releases[0].hash_length != releases[1].hash_length else None


def _upgrade(releases: tuple[AIBrix, AIBrix]) -> tuple[Change, ...]:
    before, after = releases
    return (Change(Field.AIBRIX, Field.AIBRIX.value, before.release, after.release),)


def _differ(old: Manifest, new: Manifest, field: str) -> bool:
    return bool(as_stored(old["spec"].get(field)) != as_stored(new["spec"].get(field)))


def npus_of(role: Manifest) -> int:
    """The NPUs of one pod of a role."""
    containers = role["template"].get("spec", {}).get("containers") or ()
    limits = [container.get("resources", {}).get("limits") or {} for container in containers]
    return sum(int(str(v)) for limit in limits for key, v in limit.items() if key.startswith(HUAWEI_PREFIX))


def _whole(role: Manifest, what: What, load_minutes: int | None) -> RoleEffect:
    instances, size = int(role["replicas"]), pod_group_size(role)
    pods = instances * size
    counts = (0, instances) if what is What.CREATED else (instances, 0)
    return RoleEffect(
        str(role["name"]), (what,), counts, added=pods if what is What.CREATED else 0,
        removed=pods if what is What.DELETED else 0, gangs=_gangs(role, instances),
        npus_per_pod=(npus_of(role), npus_of(role)),
        minutes=_minutes(role, 1, load_minutes) if what is What.CREATED else None,
    )  # fmt: skip


def _gangs(role: Manifest, instances: int) -> int:
    """PodGroups that are touched: one per instance of several pods, the shared one otherwise."""
    return 0 if not npus_of(role) or not instances else instances if pod_group_size(role) > 1 else 1


def _role(
    old: Manifest | None, new: Manifest | None, release: AIBrix, everything: What | None, load_minutes: int | None
) -> RoleEffect:
    if old is None or new is None:
        role = new or old
        assert role is not None
        if old is None:
            return _whole(role, What.CREATED, load_minutes)
        instances = int(role["replicas"])  # AIBrix creates no pods for the role any more, and deletes none
        pods = instances * pod_group_size(role)
        return RoleEffect(
            str(role["name"]), (What.ORPHANED,), (instances, 0), orphaned=pods, gangs=_gangs(role, instances),
            npus_per_pod=(npus_of(role), 0),
        )  # fmt: skip
    what = everything or _replacement(old, new, release)
    counts = int(old["replicas"]), int(new["replicas"])
    more = counts[1] - counts[0]
    staying, sizes = min(counts), (pod_group_size(old), pod_group_size(new))
    left_behind = what in (
        What.ORPHANED,
        What.CANNOT_CHANGE,
    )  # all of them: fewer replicas remove none of another shape
    scaled = more > 0 or (more < 0 and not left_behind)
    kinds = tuple(kind for kind in (what, What.SCALED if scaled else None) if kind) or (What.NOTHING,)
    recreated = staying * sizes[1] if what else 0
    orphaned = counts[0] * sizes[0] if left_behind else 0
    added, removed = max(more, 0) * sizes[1], 0 if left_behind else max(-more, 0) * sizes[0]
    at_once = what is not None and (what not in ONE_BY_ONE or _crosses(sizes))
    down = staying if at_once else _unavailable(new, staying)
    return RoleEffect(
        str(new["name"]), kinds, counts, recreated, added, removed, orphaned,
        gangs=_gangs(new, staying if what else abs(more)) if what or more else 0,
        npus_per_pod=(npus_of(old), npus_of(new)),
        away=down / staying if what and staying else 0.0,
        at_once=at_once,
        minutes=_minutes(new, ceil(staying / down) if what and staying else 1, load_minutes) if what or more > 0 else 0,
        changes=changes(old["template"], new["template"]),
    )  # fmt: skip


def _replacement(old: Manifest, new: Manifest, release: AIBrix) -> What | None:
    """Whether and how the running pods of a role that stays are replaced."""
    sizes = pod_group_size(old), pod_group_size(new)
    if _crosses(sizes) and not release.removes_pods_of_old_shape:
        # n to 1: the controllers of PodSet and RoleSet delete and create the same pods for ever; watched on v0.5.0.
        return What.ORPHANED if sizes[0] == 1 else What.CANNOT_CHANGE
    if not old.get("stateful") and new.get("stateful"):
        return What.NEW_ROLE_SET  # pods without an index are deleted at once
    if sizes[0] == sizes[1] and as_stored(old["template"]) == as_stored(new["template"]):
        return None
    return What.RECREATED if npus_of(new) or new["name"] != ROUTING else What.ROUTING_RESTARTS


def _crosses(sizes: tuple[int, int]) -> bool:
    """Whether instances become pods of their own, or the other way round: other objects of AIBrix make them."""
    return sizes[0] != sizes[1] and 1 in sizes


def _unavailable(role: Manifest, instances: int) -> int:
    """How many of these instances AIBrix takes down at a time, at least one: surge needs NPUs that are free.

    A share is one of all instances that are to be, rounded down (AIBrix stormservice/utils.go, ResolveFenceposts).
    """
    limit = role.get("updateStrategy", {}).get("maxUnavailable", 1)
    if isinstance(limit, str) and limit.endswith("%"):
        limit = int(role["replicas"]) * int(limit[:-1]) // 100
    return min(max(int(limit), 1), max(instances, 1))


def _minutes(role: Manifest, rounds: int, load_minutes: int | None) -> int | None:
    """Minutes until all are ready: measured ones, else the limit that the startup probe sets, else None."""
    if load_minutes is not None and npus_of(role):
        return rounds * load_minutes
    for container in role["template"].get("spec", {}).get("containers") or ():
        probe = container.get("startupProbe")
        if probe:
            return ceil(rounds * seconds_until_failure(probe) / 60)
    return None


def _reloaded(role: RoleEffect, before: Sequence[Manifest], after: Sequence[Manifest]) -> RoleEffect:
    """The routing role that keeps running and reads its configuration anew."""
    if role.role != ROUTING or role.what != (What.NOTHING,):
        return role
    if _configuration(before) == _configuration(after):
        return role
    return RoleEffect(role.role, (What.RELOADED,), role.instances)


def _configuration(manifests: Sequence[Manifest]) -> list[Any]:
    return [manifest.get("data") for manifest in manifests if is_proxy_config(manifest)]


def _way_round(roles: Sequence[RoleEffect], new: Mapping[str, Manifest]) -> Keeps | None:
    """`minAvailable` as it was, where nothing but the shared gang size replaces pods."""
    hit = [role for role in roles if role.worst is What.RECREATED]
    if not hit or any({c.field for c in role.changes} != {Field.GANG_SIZE} for role in hit):
        return None
    if any(pod_group_size(new[role.role]) != 1 for role in hit):
        return None
    values = {role.changes[0].before for role in hit}
    sharing = sum(int(role["replicas"]) for role in new.values() if pod_group_size(role) == 1 and npus_of(role))
    if len(values) != 1 or int(next(iter(values))) > sharing:
        return None  # a gang larger than its PodGroup is never placed
    return Keeps(tuple(role.role for role in hit), int(values.pop()))
