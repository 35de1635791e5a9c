"""Effects as sentences for people, made from the values of review/effect.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from stormc.facts.limits import ROUTING
from stormc.nouns import instances, npus, pods
from stormc.phrase import NONE, Phrase, both, indented, joined, listed, phrase
from stormc.review.effect import ONE_BY_ONE, AppEffect, RoleEffect, What
from stormc.review.template import Change

SHOWN_CHANGES = 3


def told_apart(apps: Sequence[tuple[str, str]]) -> list[str]:
    """The labels of apps given with their clusters: where several have the same label, the cluster stands behind it."""
    times = Counter(label for label, _ in apps)
    return [f"{label} on {cluster}" if times[label] > 1 and cluster else label for label, cluster in apps]


def role_line(role: RoleEffect) -> Phrase:
    """One role: what happens to its pods, how much of it is away meanwhile, how long, and why."""
    parts = [phrase("{role}: {happens}", role=role.role, happens=joined("; ", _kinds(role)))]
    if role.recreated and role.worst in (What.RECREATED, What.ROUTING_RESTARTS, What.NEW_ROLE_SET):
        parts.append(phrase("{percent} % of its instances away at a time", percent=round(role.away * 100)))
    parts += [time] if (time := _time(role)) else []
    causes = listed(change_text(change) for change in role.changes[:SHOWN_CHANGES])
    more = len(role.changes) - SHOWN_CHANGES
    if more > 0:
        parts.append(phrase("because: {causes} and {more} more", causes=causes, more=more))
    elif causes:
        parts.append(phrase("because: {causes}", causes=causes))
    return joined("; ", parts)


def _kinds(role: RoleEffect) -> Iterator[Phrase]:
    before, after = role.npus_per_pod
    for what in role.what:
        if what is What.SCALED:
            yield _scaled(role)
        elif what in _REPLACED:
            at_once = phrase("{what}, all at once", what=_REPLACED[what])
            yield _pods(role.recreated, at_once if role.at_once and what in ONE_BY_ONE else _REPLACED[what], after)
        elif what is What.CREATED:
            yield _pods(role.added, phrase("created"), after)
        elif what is What.DELETED:
            yield _pods(role.removed, phrase("deleted"), before)
        elif what is What.ORPHANED:
            yield _pods(role.orphaned, phrase("left behind, running without a service"), before)
            if role.recreated:
                yield _pods(role.recreated, phrase("created beside what is left behind"), after)
        else:
            yield phrase("{what}{npus}", what=what.value, npus=_npus(role.disturbed_npus))


_REPLACED = {
    What.RECREATED: phrase("recreated"),
    What.ROUTING_RESTARTS: phrase("restarted"),
    What.NEW_ROLE_SET: phrase("deleted at once and created anew"),
}


def _pods(number: int, what: Phrase, npus_per_pod: int) -> Phrase:
    return phrase("{pods} {what}{npus}", pods=pods(number), what=what, npus=_npus(number * npus_per_pod))


def _npus(number: int) -> Phrase:
    return phrase(" ({npus})", npus=npus(number)) if number else NONE


def _scaled(role: RoleEffect) -> Phrase:
    more = role.instances[1] - role.instances[0]
    touched = _npus(role.added * role.npus_per_pod[1] + role.removed * role.npus_per_pod[0])
    moved, total = instances(abs(more)), role.instances[1]
    if more > 0:
        return phrase("{instances} added, {all} in all{npus}", instances=moved, all=total, npus=touched)
    return phrase("{instances} removed, {all} in all{npus}", instances=moved, all=total, npus=touched)


def _time(role: RoleEffect) -> Phrase:
    if not (role.recreated or role.added) or role.role == ROUTING or role.worst is What.CANNOT_CHANGE:
        return NONE
    if role.minutes is None:
        return phrase("load time unknown")
    if role.measured:
        return phrase("about {minutes} min", minutes=role.minutes)
    return phrase("up to {minutes} min", minutes=role.minutes)


def change_text(change: Change) -> Phrase:
    """One leaf: `gang size 2 → 4`, `image a → b`, `flag --max-num-seqs 16 → 64`."""
    field = change.field.value
    name = field if change.name == field else phrase("{field} {name}", field=field, name=change.name)
    if change.before is None:
        return phrase("{name} added", name=name)
    if change.after is None:
        return phrase("{name} removed", name=name)
    before, after = str(change.before), str(change.after)
    if len(before) + len(after) > 120:
        return phrase("{name} changed", name=name)
    return phrase("{name} {before} → {after}", name=name, before=before, after=after)


def app_lines(label: str, effect: AppEffect) -> list[Phrase]:
    """An app on one line, then a line per role that something happens to, then the way round, if there is one."""
    touched = [role for role in effect.roles if role.worst is not What.NOTHING]
    if not touched:
        return [phrase("{label}: no pod restarts", label=label)]
    lines = [phrase("{label}: {what}", label=label, what=effect.worst.value)]
    lines += [indented(role_line(role)) for role in touched]
    way = way_round(effect)
    return [*lines, indented(way)] if way else lines


def way_round(effect: AppEffect) -> Phrase:
    """How to keep the running pods or the service, where that is possible."""
    if effect.worst is What.CANNOT_CHANGE:
        return phrase("deploy the app under another name, then delete the old one")
    if effect.keeps is None:
        return NONE
    return phrase(
        "to keep the running pods: minAvailable: {value} in {roles}; a part of a gang may then start before all of it "
        "fits",
        value=effect.keeps.value,
        roles=both(effect.keeps.roles),
    )
