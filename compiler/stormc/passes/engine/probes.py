"""Startup and readiness of the engine containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.passes.because import LOCAL_RANKS, ROLE, Because, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import container_path

PROBE_PERIOD = 10
READINESS_PROBE = {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 5}

HEAD_HEALTH = (
    '[ "$POD_GROUP_INDEX" = 0 ] || exit 0; exec 3<>"/dev/tcp/$POD_IP/{port}" && '
    "printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [ \"$code\" = 200 ]"
)
"""A probe for pods of one template of which only the first serves: the others are well as long as they run."""

WHO_ANSWERS = tuple((ROLE, field) for field in LOCAL_RANKS)
HEALTH: dict[tuple[str | int, ...], Because] = {
    ("httpGet",): fact("vllm", "vllm/entrypoints/openai: GET /health", exists_if=WHO_ANSWERS),
    ("httpGet", "port"): of((ROLE, "port"), exists_if=WHO_ANSWERS),
    ("exec",): of((ROLE, "port"), exists_if=WHO_ANSWERS),
}
STARTUP = {
    **HEALTH,
    (): fact("stormc", "docs/spec.md engine.startupSeconds"),
    ("failureThreshold",): of(("engine", "startupSeconds")),
}
READINESS = {**HEALTH, (): fact("stormc", "docs/spec.md: probes of the engine")}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Probes of the first local rank; headless pods, which have the same template, pass them without being asked."""
    for role in app.serving_roles:
        yield from _probes(app, role)


def _probes(app: App, role: Role) -> Iterator[Edit]:
    check: dict[str, Any] = {"httpGet": {"path": "/health", "port": role.port}}
    if not role.every_pod_serves:
        check = {"exec": {"command": ["/bin/bash", "-c", HEAD_HEALTH.format(port=role.port)]}}
    attempts = -(-app.engine.startup_seconds // PROBE_PERIOD)
    startup = {"periodSeconds": PROBE_PERIOD, "failureThreshold": attempts, "timeoutSeconds": 5}
    for field, timing, because in (
        ("startupProbe", startup, STARTUP),
        ("readinessProbe", READINESS_PROBE, READINESS),
    ):
        yield Edit(storm(app), container_path(role.name, role.name, field), {**check, **timing}, because)
