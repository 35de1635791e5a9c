"""Engine pods request CPU and memory.

A pod without requests is the first that a node short of memory kills or evicts, with its NPUs and its half hour of
loading; the scheduler takes it for one that needs nothing. Where the profile knows what its node has, stormc requests
a share of it per NPU.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path
from stormc.phrase import both, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, Template

AMOUNTS = ("cpu", "memory")


def check(service: StormService) -> Iterator[Violation]:
    missing: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for role, template in service.serving:
        resources = [name for name in AMOUNTS if not _requested(template, name)]
        if resources:
            steps = ("containers", (role.name,), "resources")
            path = service.wrote_pod(role.name, steps, (role.name, "resources"))
            missing.setdefault(tuple(resources), []).append((role.name, path))
    for names, places in missing.items():
        yield Violation(
            places[0][1],
            phrase("{roles} request no {resources}", roles=both(r for r, _ in places), resources=" and ".join(names)),
            phrase("write resources with what the engine needs of the node, or requests into the profile"),
        )


def _requested(template: Template, name: str) -> bool:
    """Whether the engine's container requests a resource; a limit is a request, too."""
    engine = next((c for c in template.containers if c.get("name") == template.role), {})
    resources = engine.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return str(requests.get(name, "0")) != "0" or str(limits.get(name, "0")) != "0"


RULE = Rule(
    "W089", __doc__, check,
    source="Kubernetes: tasks/configure-pod-container/quality-service-pod, concepts/scheduling-eviction",
    bad=(
        Example("""
            prefill:
              resources: {}
            """, at="prefill.resources"),
        Example("""
            decode:
              resources:
                cpu: 0
            """, at="decode.resources"),
    ),
    instead=(
        Example("""
            prefill:
              resources:
                cpu: 32
                memory: 256Gi
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
