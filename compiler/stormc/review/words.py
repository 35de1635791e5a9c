"""Effects as sentences for people. Everything is made from the values of `effect`; nothing is read back from a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from stormc.facts.limits import ROUTING
from stormc.review.effect import ONE_BY_ONE, AppEffect, RoleEffect, What
from stormc.review.template import Change

SHOWN_CHANGES = 3


def told_apart(apps: Sequence[tuple[str, str]]) -> list[str]:
    """The labels of apps given with their clusters: where several have the same label, the cluster stands behind it."""
    times = Counter(label for label, _ in apps)
    return [f"{label} on {cluster}" if times[label] > 1 and cluster else label for label, cluster in apps]


def role_line(role: RoleEffect) -> str:
    """One role: what happens to its pods, how much of it is away meanwhile, how long, and why."""
    parts = [f"{role.role}: {'; '.join(_kinds(role))}"]
    if role.recreated and role.worst in (What.RECREATED, What.ROUTING_RESTARTS, What.NEW_ROLE_SET):
        parts.append(f"{round(role.away * 100)} % of its instances away at a time")
    if time := _time(role):
        parts.append(time)
    causes = ", ".join(change_text(change) for change in role.changes[:SHOWN_CHANGES])
    more = len(role.changes) - SHOWN_CHANGES
    if causes:
        parts.append(f"because: {causes}" + (f" and {more} more" if more > 0 else ""))
    return "; ".join(parts)


def _kinds(role: RoleEffect) -> Iterator[str]:
    before, after = role.npus_per_pod
    for what in role.what:
        if what is What.SCALED:
            yield _scaled(role)
        elif what in _REPLACED:
            together = ", all at once" if role.at_once and what in ONE_BY_ONE else ""
            yield _pods(role.recreated, _REPLACED[what] + together, after)
        elif what is What.CREATED:
            yield _pods(role.added, "created", after)
        elif what is What.DELETED:
            yield _pods(role.removed, "deleted", before)
        elif what is What.ORPHANED:
            yield _pods(role.orphaned, "left behind, running without a service", before)
            if role.recreated:
                yield _pods(role.recreated, "created beside what is left behind", after)
        else:
            yield what.value + _npus(role.disturbed_npus)


_REPLACED = {
    What.RECREATED: "recreated",
    What.ROUTING_RESTARTS: "restarted",
    What.NEW_ROLE_SET: "deleted at once and created anew",
}


def _pods(number: int, what: str, npus_per_pod: int) -> str:
    return f"{counted(number, 'pod')} {what}{_npus(number * npus_per_pod)}"


def _npus(number: int) -> str:
    return f" ({counted(number, 'NPU')})" if number else ""


def _scaled(role: RoleEffect) -> str:
    more = role.instances[1] - role.instances[0]
    npus = role.added * role.npus_per_pod[1] + role.removed * role.npus_per_pod[0]
    how = "added" if more > 0 else "removed"
    return f"{counted(abs(more), 'instance')} {how}, {role.instances[1]} in all{_npus(npus)}"


def _time(role: RoleEffect) -> str:
    if not (role.recreated or role.added) or role.role == ROUTING:
        return ""
    if role.minutes is None:
        return "load time unknown"
    return f"{'about' if role.measured else 'up to'} {role.minutes} min"


def change_text(change: Change) -> str:
    """One leaf: `gang size 2 → 4`, `image a → b`, `flag --max-num-seqs 16 → 64`."""
    name = change.field.value if change.name == change.field.value else f"{change.field.value} {change.name}"
    if change.before is None:
        return f"{name} added"
    if change.after is None:
        return f"{name} removed"
    before, after = str(change.before), str(change.after)
    return f"{name} {before} → {after}" if len(before) + len(after) <= 120 else f"{name} changed"


def app_lines(label: str, effect: AppEffect) -> list[str]:
    """An app on one line, then a line per role that something happens to, then the way round, if there is one."""
    touched = [role for role in effect.roles if role.worst is not What.NOTHING]
    if not touched:
        return [f"{label}: no pod restarts"]
    lines = [f"{label}: {effect.worst.value}", *(f"  {role_line(role)}" for role in touched)]
    if effect.keeps:
        roles = " and ".join(effect.keeps.roles)
        lines.append(
            f"  to keep the running pods: minAvailable: {effect.keeps.value} in {roles}; a part of a gang may then"
            " start before all of it fits"
        )
    return lines


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 pod`, `2 pods`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
