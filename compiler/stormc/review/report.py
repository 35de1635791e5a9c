"""A diff as a document: text for a terminal, markdown for a pull request, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from stormc.review.capacity import Rollout, rollout_rows
from stormc.review.diff import AppChange, FieldChange, FileChange, Kind, totals
from stormc.review.effect import RoleEffect, What
from stormc.review.words import app_lines, change_text, counted, role_line

COMMENT_LIMIT = 65_536
"""Characters that a comment on GitHub may have; GitLab takes more."""
MARKER = "<!-- stormc diff -->"
"""By this line a workflow finds the comment that it wrote before."""
SHOWN_VALUE = 60


def text(changes: Sequence[AppChange], manifests: bool = False) -> Iterator[str]:
    """Lines for a terminal; with `manifests` the unified diffs of the rendered files too."""
    for change in changes:
        yield f"{change.label}: {_what(change)}"
        yield from (f"  {line}" for line in _fields(change))
        if change.kind is Kind.BROKEN:
            yield from (f"  {line}" for line in _errors(change))
        yield from (f"  {line}" for line in app_lines(change.label, change.effect)[1:])
        if not change.effect.roles or change.effect.worst is What.NOTHING:
            yield "  no pod restarts" if change.kind is not Kind.BROKEN else "  effect unknown"
        yield from (f"  {line}" for line in change.engine)
        if change.kind is not Kind.BROKEN:
            yield f"  {_file_counts(change.files)}"
        if manifests:
            yield from (line for file in change.files for line in file.lines)
    yield headline(changes)


def headline(changes: Sequence[AppChange]) -> str:
    """The sums of all apps in one line."""
    sums = totals(changes)
    hit = (
        (sums.restarting, "restarts NPU pods", "restart NPU pods"),
        (sums.deleted, "deletes them", "delete them") if sums.restarting else
        (sums.deleted, "deletes NPU pods", "delete NPU pods"),
        (sums.orphaned, "leaves NPU pods behind", "leave NPU pods behind"),
    )  # fmt: skip
    said = [f"{number} {one if number == 1 else several}" for number, one, several in hit if number]
    npus = f" ({counted(sums.npus, 'NPU')})" if said else ""
    if sums.unknown:
        said.append(f"{sums.unknown} with errors, effect unknown")
    return f"{counted(sums.apps, 'app')} changed; {', '.join(said) or 'no NPU pod restarts'}{npus}"


def _what(change: AppChange) -> str:
    before, after = change.before, change.after
    if before is not None and after is not None and before.file != after.file:
        how = f"{change.kind.value} from {before.label}" if change.kind is Kind.RENAMED else change.kind.value
        return f"{how} ({before.file} → {after.file})"
    side = after or before
    assert side is not None
    how = f" from {before.label}" if change.kind is Kind.RENAMED and before else ""
    return f"{change.kind.value}{how} ({side.file})"


def _fields(change: AppChange) -> Iterator[str]:
    """The fields that differ; of an app that comes or goes these would be all of them."""
    if change.before is not None and change.after is not None:
        yield from map(field_text, change.fields)


def field_text(field: FieldChange) -> str:
    """`decode.replicas 1 → 3`, `decode.env.X 1 (not set before)`, `faults.retries removed (was 3)`."""
    path = ".".join(map(str, field.path))
    if field.before is None:
        return f"{path} {_shown(field.after)} (not set before)"
    if field.after is None:
        return f"{path} removed (was {_shown(field.before)})"
    return f"{path} {_shown(field.before)} → {_shown(field.after)}"


def _shown(value: Any) -> str:
    found = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return found if len(found) <= SHOWN_VALUE else f"{found[: SHOWN_VALUE - 1]}…"


def _file_counts(files: Sequence[FileChange]) -> str:
    kinds = [file.kind.partition(" ")[0] for file in files]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    return f"rendered files: {', '.join(counts)}" if counts else "rendered files: none"


def _errors(change: AppChange) -> Iterator[str]:
    for name, side in (("before", change.before), ("after", change.after)):
        for finding in side.errors if side is not None else ():
            yield f"{name}: {finding.file}:{finding.mark.line}: {finding.rule} {finding.message}"


def markdown(changes: Sequence[AppChange], npus: Rollout | None = None, limit: int = COMMENT_LIMIT) -> str:
    """A comment of at most `limit` characters for a pull request: a table of all apps, then details, gravest first.

    `npus` are the pools of nodes before, during and after the change; they stand below the table.
    """
    head = [MARKER, f"### stormc: {headline(changes)}", ""]
    if changes:
        head += ["| app | change | effect | NPUs | minutes |", "|---|---|---|---:|---:|"]
    pools = list(_pools(npus)) if npus is not None and changes else []
    rows = [_row(change) for change in changes]
    details = ["\n".join(_details(change)) for change in changes]
    left = "\n\n_{} more; run `stormc diff`._"
    room = limit - sum(len(line) + 1 for line in (*head, *pools)) - len(left) - 8
    kept_rows = _fitting(rows, room)
    room -= sum(len(row) + 1 for row in kept_rows)
    kept = _fitting(details, room) if len(kept_rows) == len(rows) else []
    document = "\n".join([*head, *kept_rows, *pools, *(f"\n{part}" for part in kept)])
    missing = len(changes) - (len(kept) if len(kept_rows) == len(rows) else len(kept_rows))
    return document + (left.format(counted(missing, "app")) if missing else "") + "\n"


def _pools(npus: Rollout) -> Iterator[str]:
    rows = list(rollout_rows(npus))
    if not rows:
        return
    yield "\n| inventory | product | NPUs | used before | during the rollout | after | |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for where, product, total, before, during, after, meanwhile, at_end in rows:
        verdict = meanwhile if meanwhile == at_end else f"during the rollout: {meanwhile}; after: {at_end}"
        yield "| " + " | ".join(map(_cell, (where, product, total, before, during, after, verdict))) + " |"
    if npus.staying:
        yield f"\nOld pods hold their NPUs until they are pruned: {', '.join(map(_cell, npus.staying[:SHOWN_APPS]))}"


SHOWN_APPS = 20


def _fitting(parts: Sequence[str], room: int) -> list[str]:
    """The parts from the first on that fit."""
    found: list[str] = []
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            break
        found.append(part)
    return found


def _row(change: AppChange) -> str:
    roles = change.effect.roles
    npus = sum(role.npus for role in roles if role.worst is not What.NOTHING)
    slowest = max((r for r in roles if r.recreated and r.minutes and r.npus), key=_minutes, default=None)
    minutes = f"{'' if slowest.measured else '≤ '}{slowest.minutes}" if slowest is not None else ""
    effect = "unknown: errors" if change.kind is Kind.BROKEN else change.effect.worst.value
    effect = "no pod restarts" if effect == What.NOTHING.value else effect
    cells = [change.label, change.kind.value, effect, str(npus or ""), minutes]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _minutes(role: RoleEffect) -> int:
    return role.minutes or 0


def _cell(value: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]#!@])", r"\\\1", value.replace("\n", " "))


def _details(change: AppChange) -> Iterator[str]:
    yield f"<details><summary>{_cell(change.label)}: {_cell(_what(change))}</summary>\n"
    lines = [*_fields(change), *_errors(change)]
    if lines:
        yield _fenced("\n".join(lines), "")
    roles = [role for role in change.effect.roles if role.worst is not What.NOTHING]
    yield from (f"- {_cell(role_line(role))}" for role in roles)
    if change.effect.keeps:
        yield f"\n{_cell(app_lines('', change.effect)[-1].strip())}"
    yield from (f"- {_cell(line.strip())}" for line in change.engine)
    shown = [line for file in change.files for line in file.lines]
    if shown:
        yield f"\n{_file_counts(change.files)}\n"
        yield _fenced("\n".join(shown), "diff")
    yield "\n</details>"


def _fenced(content: str, language: str) -> str:
    """A code block whose fence is longer than any run of backquotes inside."""
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content}\n{fence}"


def as_json(changes: Sequence[AppChange]) -> str:
    """All that is known of the changes, for programs."""
    sums = totals(changes)
    apps = [_app(change) for change in changes]
    return json.dumps({"totals": sums._asdict(), "apps": apps}, indent=2, default=str) + "\n"


def _app(change: AppChange) -> dict[str, Any]:
    keeps = change.effect.keeps
    return {
        "app": change.label, "kind": change.kind.name.lower(),
        "before": change.before.file if change.before else None, "after": change.after.file if change.after else None,
        "fields": [{"path": list(f.path), "before": f.before, "after": f.after} for f in change.fields],
        "effect": "unknown" if change.kind is Kind.BROKEN else change.effect.worst.name.lower(),
        "restartsNpus": change.effect.restarts_npus,
        "roles": [_role(role) for role in change.effect.roles],
        "keeps": {"roles": list(keeps.roles), "minAvailable": keeps.value} if keeps else None,
        "files": [{"path": file.path, "kind": file.kind} for file in change.files],
        "engine": [line.strip() for line in change.engine],
    }  # fmt: skip


def _role(role: RoleEffect) -> dict[str, Any]:
    return {
        "role": role.role, "what": [what.name.lower() for what in role.what],
        "instances": {"before": role.instances[0], "after": role.instances[1]},
        "pods": {"recreated": role.recreated, "added": role.added, "removed": role.removed, "orphaned": role.orphaned},
        "gangs": role.gangs, "npus": role.npus, "away": round(role.away, 3), "atOnce": role.at_once,
        "minutes": role.minutes,
        "measured": role.measured,
        "because": [change_text(change) for change in role.changes],
    }  # fmt: skip
