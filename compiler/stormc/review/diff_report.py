"""A diff as a document: text for a terminal, markdown for a pull request, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stormc.nouns import apps, npus
from stormc.phrase import NONE, Phrase, indented, listed, phrase, verbatim, with_other
from stormc.review.capacity import Rollout, rollout_rows
from stormc.review.diff import AppChange, FieldChange, FileChange, Kind, totals
from stormc.review.effect import RoleEffect, What
from stormc.review.words import app_lines, change_text, role_line, way_round

COMMENT_LIMIT = 65_536
"""Characters that a comment on GitHub may have; GitLab takes more."""
MARKER = "<!-- stormc diff -->"
"""A line by which a workflow finds its earlier comment."""
SHOWN_VALUE = 60


def text(changes: Sequence[AppChange], *, manifests: bool = False) -> Iterator[str]:
    """Lines for a terminal; with `manifests` the unified diffs of the rendered files too."""
    for change in changes:
        yield phrase("{label}: {what}", label=change.label, what=_what(change))
        yield from map(indented, _fields(change))
        if change.kind is Kind.BROKEN:
            yield from map(indented, _errors(change))
        yield from map(indented, app_lines(change.label, change.effect)[1:])
        if not change.effect.roles or change.effect.worst is What.NOTHING:
            yield indented(phrase("no pod restarts") if change.kind is not Kind.BROKEN else phrase("effect unknown"))
        yield from map(indented, change.engine)
        if change.kind is not Kind.BROKEN:
            yield indented(_file_counts(change.files))
        if manifests:
            yield from (line for file in change.files for line in file.lines)
    yield headline(changes)


def headline(changes: Sequence[AppChange]) -> Phrase:
    """The sums of all apps in one line."""
    sums = totals(changes)
    hit = [
        *([_restart(sums.restarting)] if sums.restarting else []),
        *([_delete(sums.deleted)] if sums.deleted else []),
        *([_leave_behind(sums.orphaned)] if sums.orphaned else []),
        *([phrase("{number} cannot change in place", number=sums.stuck)] if sums.stuck else []),
    ]
    unknown = [phrase("{number} with errors, effect unknown", number=sums.unknown)] if sums.unknown else []
    effects = listed([*hit, *unknown]) if hit or unknown else phrase("no NPU pod restarts")
    touched = phrase(" ({npus})", npus=npus(sums.npus)) if hit else NONE
    return phrase("{apps} changed; {effects}{npus}", apps=apps(sums.apps), effects=effects, npus=touched)


def _restart(number: int) -> Phrase:
    if number == 1:
        return phrase("{number} restarts NPU pods", number=number)
    return phrase("{number} restart NPU pods", number=number)


def _delete(number: int) -> Phrase:
    if number == 1:
        return phrase("{number} deletes NPU pods", number=number)
    return phrase("{number} delete NPU pods", number=number)


def _leave_behind(number: int) -> Phrase:
    if number == 1:
        return phrase("{number} leaves NPU pods behind", number=number)
    return phrase("{number} leave NPU pods behind", number=number)


def _what(change: AppChange) -> Phrase:
    before, after = change.before, change.after
    kind = change.kind.value
    if change.kind is Kind.RENAMED and before is not None:
        kind = phrase("{kind} from {label}", kind=kind, label=before.label)
    if before is not None and after is not None and before.file != after.file:
        return phrase("{kind} ({before} → {after})", kind=kind, before=before.file, after=after.file)
    side = after or before
    assert side is not None
    return phrase("{kind} ({file})", kind=kind, file=side.file)


def _fields(change: AppChange) -> Iterator[Phrase]:
    """The fields that differ; none for a created or removed app, where it would be all of them."""
    if change.before is not None and change.after is not None:
        yield from map(field_text, change.fields)


def field_text(field: FieldChange) -> Phrase:
    """`decode.replicas 1 → 3`, `decode.env.X 1 (not set before)`, `faults.retries removed (was 3)`."""
    path = ".".join(map(str, field.path))
    if field.before is None:
        return phrase("{path} {after} (not set before)", path=path, after=_shown(field.after))
    if field.after is None:
        return phrase("{path} removed (was {before})", path=path, before=_shown(field.before))
    return verbatim(f"{path} {_shown(field.before)} → {_shown(field.after)}")


def _shown(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= SHOWN_VALUE else f"{shown[: SHOWN_VALUE - 1]}…"


def _file_counts(files: Sequence[FileChange]) -> Phrase:
    kinds = [file.kind for file in files]
    counts = [phrase("{number} {kind}", number=kinds.count(kind), kind=kind.value) for kind in dict.fromkeys(kinds)]
    return phrase("rendered files: {counts}", counts=listed(counts) if counts else phrase("none"))


def _errors(change: AppChange) -> Iterator[Phrase]:
    for name, side in ((phrase("before"), change.before), (phrase("after"), change.after)):
        for finding in side.errors if side is not None else ():
            place = f"{finding.file}:{finding.mark.line}: {finding.rule}"
            yield phrase("{name}: {place} {message}", name=name, place=place, message=finding.message)


def markdown(
    changes: Sequence[AppChange], pools: Rollout | None = None, limit: int = COMMENT_LIMIT,
    translated: Callable[[str], str] = str,
) -> str:  # fmt: skip
    """A comment of at most `limit` characters for a pull request: a table of all apps, then details, gravest first.

    `pools` of nodes before, during and after the change stand below the table; `translated` chooses the language.
    """
    head = [MARKER, f"### stormc: {translated(headline(changes))}", ""]
    if changes:
        head += [translated(phrase("| app | change | effect | NPUs | minutes |")), "|---|---|---|---:|---:|"]
    below = list(_pools(pools, translated)) if pools is not None and changes else []
    rows = [_row(change, translated) for change in changes]
    details = ["\n".join(_details(change, translated)) for change in changes]
    more = phrase("{apps} more; run `stormc diff`.", apps=apps(len(changes)))
    room = limit - sum(len(line) + 1 for line in (*head, *below)) - len(translated(more)) - 8
    shown_rows = _fitting(rows, room)
    room -= sum(len(row) + 1 for row in shown_rows)
    shown_details = _fitting(details, room) if len(shown_rows) == len(rows) else []
    document = "\n".join([*head, *shown_rows, *below, *(f"\n{part}" for part in shown_details)])
    missing = len(changes) - (len(shown_details) if len(shown_rows) == len(rows) else len(shown_rows))
    return document + (f"\n\n_{translated(with_other(more, apps=apps(missing)))}_" if missing else "") + "\n"


def _pools(pools: Rollout, translated: Callable[[str], str]) -> Iterator[str]:
    rows = list(rollout_rows(pools))
    if not rows:
        return
    columns = phrase("| inventory | product | NPUs | used before | during the rollout | after | |")
    yield f"\n{translated(columns)}"
    yield "|---|---|---:|---:|---:|---:|---|"
    for where, product, total, before, during, after, meanwhile, at_end in rows:
        verdict = meanwhile
        if meanwhile != at_end:
            verdict = phrase("during the rollout: {meanwhile}; after: {at_end}", meanwhile=meanwhile, at_end=at_end)
        cells = (where, product, total, before, during, after, translated(verdict))
        yield "| " + " | ".join(map(_cell, cells)) + " |"
    if pools.staying:
        staying = listed(map(_cell, pools.staying[:SHOWN_APPS]))
        yield "\n" + translated(phrase("Old pods hold their NPUs until they are pruned: {staying}", staying=staying))


SHOWN_APPS = 20


def _fitting(parts: Sequence[str], room: int) -> list[str]:
    """The first parts, as many as fit into `room` characters."""
    fitting: list[str] = []
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            break
        fitting.append(part)
    return fitting


def _row(change: AppChange, translated: Callable[[str], str]) -> str:
    roles = change.effect.roles
    touched = sum(role.npus for role in roles if role.worst is not What.NOTHING)
    slowest = max((r for r in roles if r.recreated and r.minutes and r.npus), key=_minutes, default=None)
    minutes = f"{'' if slowest.measured else '≤ '}{slowest.minutes}" if slowest is not None else ""
    effect = change.effect.worst.value if change.effect.worst is not What.NOTHING else phrase("no pod restarts")
    effect = phrase("unknown: errors") if change.kind is Kind.BROKEN else effect
    cells = [change.label, translated(change.kind.value), translated(effect), str(touched or ""), minutes]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _minutes(role: RoleEffect) -> int:
    return role.minutes or 0


def _cell(value: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]#!@])", r"\\\1", value.replace("\n", " "))


def _details(change: AppChange, translated: Callable[[str], str]) -> Iterator[str]:
    yield f"<details><summary>{_cell(change.label)}: {_cell(translated(_what(change)))}</summary>\n"
    lines = [translated(line) for line in (*_fields(change), *_errors(change))]
    if lines:
        yield _fenced("\n".join(lines), "")
    roles = [role for role in change.effect.roles if role.worst is not What.NOTHING]
    yield from (f"- {_cell(translated(role_line(role)))}" for role in roles)
    if way := way_round(change.effect):
        yield f"\n{_cell(translated(way))}"
    yield from (f"- {_cell(translated(line).strip())}" for line in change.engine)
    shown = [line for file in change.files for line in file.lines]
    if shown:
        yield f"\n{translated(_file_counts(change.files))}\n"
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
    entries = [_app(change) for change in changes]
    return json.dumps({"totals": sums._asdict(), "apps": entries}, indent=2, default=str) + "\n"


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
        "files": [{"path": file.path, "kind": _file_kind(file)} for file in change.files],
        "engine": [line.strip() for line in change.engine],
    }  # fmt: skip


def _file_kind(file: FileChange) -> str:
    return f"moved from {file.moved_from}" if file.moved_from else file.kind.name.lower()


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
