"""Effects as sentences for people. Everything is made from the values of `effect`; nothing is read back from a text."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.limits import ROUTING
from stormc.review.effect import AppEffect, RoleEffect, What
from stormc.review.template import Change, Field

SHOWN_CHANGES = 3


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
    for what in role.what:
        yield _KINDS.get(what, what.value).format(
            recreated=counted(role.recreated, "pod"), added=counted(role.added, "pod"),
            removed=counted(role.removed, "pod"), orphaned=counted(role.orphaned, "pod"), npus=_npus(role),
        ) if what is not What.SCALED else _scaled(role)  # fmt: skip


_KINDS = {
    What.RECREATED: "{recreated} recreated{npus}",
    What.ROUTING_RESTARTS: "{recreated} restarted",
    What.CREATED: "{added} created{npus}",
    What.ORPHANED: "{orphaned} left behind, running without a service and holding NPUs{npus}",
    What.NEW_ROLE_SET: "all pods deleted and created anew{npus}",
    What.CANNOT_CHANGE: "cannot change in place{npus}",
    What.DELETED: "{removed} deleted{npus}",
}


def _npus(role: RoleEffect) -> str:
    return f" ({counted(role.npus, 'NPU')})" if role.npus else ""


def _scaled(role: RoleEffect) -> str:
    more = role.instances[1] - role.instances[0]
    return f"{counted(abs(more), 'instance')} {'added' if more > 0 else 'removed'} ({role.instances[1]} in all)"


def _time(role: RoleEffect) -> str:
    if not (role.recreated or role.added) or role.role == ROUTING:
        return ""
    return "load time unknown" if role.minutes is None else f"up to {role.minutes} min"


def change_text(change: Change) -> str:
    """One leaf: `gang size 2 → 4`, `image a → b`, `flag --max-num-seqs 16 → 64`."""
    name = {Field.GANG_SIZE: "gang size", Field.IMAGE: "image"}.get(change.field, f"{change.field.value} {change.name}")
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
