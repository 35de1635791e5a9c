"""The engines' own evaluation of health rows: Lua as in Argo CD, CEL as in Flux."""

from __future__ import annotations

from typing import Any

import celpy
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from lupa import lua51

from stormc.gitops.health import ROLE_SET, STORM_SERVICE, Health, cel, lua

KINDS = {health.kind: health for health in (STORM_SERVICE, ROLE_SET)}
NO_LIBRARY = ("string", "math", "io", "os", "debug", "coroutine", "package", "require", "dofile", "loadfile")


def in_argocd(health: Health, live: dict[str, Any]) -> tuple[str, str]:
    """Status and message as Argo CD gets them: Lua 5.1 with base and table only (argo-cd util/lua/lua.go)."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True)
    for name in NO_LIBRARY:
        runtime.globals()[name] = None
    runtime.globals().obj = runtime.table_from(live, recursive=True)
    answer = runtime.execute(lua(health))
    assert set(answer) == {"status", "message"}
    return answer["status"], answer["message"]


def in_flux(health: Health, live: dict[str, Any]) -> str:
    """The answer as fluxcd/pkg runtime/cel/status_evaluator.go finds it; an expression that fails is asked again."""
    observed = live.get("status", {}).get("observedGeneration")
    if observed is not None and observed != live["metadata"]["generation"]:
        return "inProgress"
    return next((answer for answer in ("failed", "current") if holds(cel(health, answer), live)), "inProgress")


def holds(expression: str, live: dict[str, Any]) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    try:
        return bool(program.evaluate({key: json_to_cel(value) for key, value in live.items()}))
    except CELEvalError:
        return False
