"""How a rollout is going, declared once per kind; Argo CD's Lua and Flux's CEL are generated from the same rows.

A StormService never says Ready=False: its one condition is Ready, Progressing or ReplicaFailure, always "True" (AIBrix
v0.5.0 stormservice/sync.go:338-408). So Argo CD without a check of its own shows no health, and kstatus, on which Flux
relies, calls the service current while its pods still load.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from stormc.facts.kinds import ORCHESTRATION
from stormc.record import NamedTuple

Field = tuple[str, ...]


class Differ(NamedTuple):
    """Two fields are not equal; a missing one equals only another missing one."""

    one: Field
    other: Field


class Condition(NamedTuple):
    """status.conditions holds an entry of this type with this status."""

    type: str
    status: str


class Flag(NamedTuple):
    """A field is true."""

    field: Field


class Count(NamedTuple):
    """A number in a message; 0 where the field is missing."""

    field: Field


Test = Differ | Condition | Flag


class Row(NamedTuple):
    """What to answer when all tests hold and no earlier row's did.

    `argocd` is a health status, `flux` one of current, failed and inProgress. A condition in the message stands for
    what the controller wrote there.
    """

    when: tuple[Test, ...]
    argocd: str
    flux: str
    message: tuple[str | Count | Condition, ...]


class Health(NamedTuple):
    """The rows of one kind; the last has no tests."""

    group: str
    version: str
    kind: str
    rows: tuple[Row, ...]


READY = Condition("Ready", "True")
FAILURE = Condition("ReplicaFailure", "True")
PAUSED = Flag(("spec", "paused"))
STALE = Differ(("status", "observedGeneration"), ("metadata", "generation"))
UPDATING = Differ(("status", "currentRevision"), ("status", "updateRevision"))
READY_COUNT = (Count(("status", "readyReplicas")), " of ", Count(("spec", "replicas")), " RoleSets ready")

STORM_SERVICE = Health(ORCHESTRATION, "v1alpha1", "StormService", (
    Row((STALE,), "Progressing", "inProgress", ("the controller has not seen this generation yet",)),
    Row((FAILURE,), "Degraded", "failed", (FAILURE,)),
    Row((PAUSED, UPDATING), "Suspended", "inProgress", ("paused during an update, ", *READY_COUNT)),
    Row((PAUSED, READY), "Suspended", "current", ("paused, ", *READY_COUNT)),
    Row((PAUSED,), "Suspended", "inProgress", ("paused, ", *READY_COUNT)),
    Row((UPDATING,), "Progressing", "inProgress", ("updating, ", *READY_COUNT)),
    Row((READY,), "Healthy", "current", READY_COUNT),
    Row((), "Progressing", "inProgress", READY_COUNT),
))  # fmt: skip
"""A failure counts during a pause too. A status of another generation says nothing about this one."""

# A RoleSet has no observedGeneration, and the text of its Ready condition is not kept up to date
# (AIBrix v0.5.0 roleset_controller.go).
ROLE_SET = Health(ORCHESTRATION, "v1alpha1", "RoleSet", (
    Row((FAILURE,), "Degraded", "failed", (FAILURE,)),
    Row((READY,), "Healthy", "current", ("all roles are ready",)),
    Row((), "Progressing", "inProgress", ("not all roles are ready",)),
))  # fmt: skip
"""What shows in Argo CD's resource tree below the StormService, with the failures that never reach it."""

_PRELUDE = """\
local function at(...)
  local node = obj
  for _, step in ipairs({...}) do
    if type(node) ~= "table" then return nil end
    node = node[step]
  end
  return node
end
local function condition(kind, status)
  for _, entry in ipairs(at("status", "conditions") or {}) do
    if entry.type == kind and entry.status == status then return entry end
  end
  return nil
end
local function count(...)
  return tostring(at(...) or 0)
end
"""


def lua(health: Health) -> str:
    """The script for argocd-cm: it sees `obj` and returns status and message.

    It needs only Lua's base library; Argo CD opens neither string nor math (argo-cd util/lua/lua.go).
    """
    return _PRELUDE + "".join(_lua_row(row) for row in health.rows)


def _lua_row(row: Row) -> str:
    message = " .. ".join(map(_lua_part, row.message))
    answer = f'return {{status = "{row.argocd}", message = {message}}}\n'
    if not row.when:
        return answer
    return f"if {' and '.join(map(_lua_test, row.when))} then\n  {answer}end\n"


def _lua_test(test: Test) -> str:
    match test:
        case Differ(one, other):
            return f"{_lua_field(one)} ~= {_lua_field(other)}"
        case Condition(kind, status):
            return f'condition("{kind}", "{status}")'
        case Flag(field):
            return f"{_lua_field(field)} == true"


def _lua_field(field: Field) -> str:
    return f"at({', '.join(map(json.dumps, field))})"


def _lua_part(part: str | Count | Condition) -> str:
    match part:
        case str():
            return json.dumps(part)
        case Count(field):
            return f"count({', '.join(map(json.dumps, field))})"
        case Condition():
            return f'({_lua_test(part)}.message or "")'


def cel(health: Health, answer: str) -> str:
    """The expression that is true exactly where the rows answer Flux with `answer`.

    Without any status the name `status` is unknown and the expression fails; Flux takes that, like no answer at all,
    for "in progress" and asks again until the timeout (fluxcd/pkg runtime/cel/status_evaluator.go).
    """
    return "\n".join(_decisions(health, answer))


def _decisions(health: Health, answer: str) -> Iterator[str]:
    """One line per run of rows with the same verdict; the rest has the verdict of the last row."""
    runs = [(verdict, list(rows)) for verdict, rows in groupby(health.rows, lambda row: row.flux == answer)]
    for verdict, rows in runs[:-1]:
        either = " || ".join(" && ".join(f"({_cel_test(test)})" for test in row.when) for row in rows)
        yield f"{either} ? {str(verdict).lower()} :"
    yield str(runs[-1][0]).lower()


def _cel_test(test: Test) -> str:
    match test:
        case Differ(one, other):
            left, right = ".".join(one), ".".join(other)
            return f"has({left}) != has({right}) || has({left}) && {left} != {right}"
        case Condition(kind, status):
            has_condition = f"status.conditions.exists(c, c.type == '{kind}' && c.status == '{status}')"
            return f"has(status.conditions) && {has_condition}"
        case Flag(field):
            name = ".".join(field)
            return f"has({name}) && {name}"
