"""An amount of memory has a unit.

Kubernetes reads a number without one as bytes. With `shmSize: 64` the ranks of a pod find 64 bytes of shared memory,
and the container runtime refuses a limit that small.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.model.quantity import exceeds
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

LEAST = "1Mi"
"""Less than any container starts with; whoever writes less forgot the unit."""


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        yield from _too_small((role.name, "shmSize"), role.shm_size)
    for each in (*app.serving_roles, app.routing):
        if each.memory is not None:
            yield from _too_small((each.name, "resources", "memory"), each.memory)


def _too_small(path: Path, amount: str) -> Iterator[Violation]:
    if exceeds(LEAST, amount):
        message = phrase("{field} {amount} is less than {least}", field=".".join(map(str, path)), amount=amount,
                         least=LEAST)  # fmt: skip
        hint = phrase("give it a unit: {amount}Gi", amount=amount) if amount.isdigit() else phrase("write a larger one")
        yield Violation(path, message, hint)


RULE = Rule(
    "W087", __doc__, check,
    source="Kubernetes docs, resource management for pods and containers: memory is measured in bytes",
    bad=(
        Example("""
            decode:
              shmSize: 64
            """, at="decode.shmSize"),
        Example("""
            routing:
              resources:
                memory: 2
            """, at="routing.resources.memory"),
        Example("""
            prefill:
              resources:
                memory: 512Ki
            """, at="prefill.resources.memory"),
    ),
    instead=(
        Example("""
            decode:
              shmSize: 64Gi
            """),
    ),
)  # fmt: skip
