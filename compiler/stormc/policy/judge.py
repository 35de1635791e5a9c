"""All that a policy says of one app: every concern, in one row."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.policy import objects, pods
from stormc.policy.breach import Breach, Case


def breaches(case: Case, spec: str) -> Iterator[Breach]:
    """The breaches of an app whose spec lies at a path below specs/, without those that an exception allows."""
    for breach in _all(case):
        if not case.policy.excepts(spec, breach.rule, breach.layer):
            yield breach


def _all(case: Case) -> Iterator[Breach]:
    for concern in (objects.namespace, objects.services, objects.network, objects.metadata, objects.overrides):
        yield from concern(case)
    for pod in pods.pods_of(case):
        for part in (pods.security, pods.placement, pods.programs, pods.secrets):
            yield from part(pod)
