"""All that a policy says of one app: every concern, in one row."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.policy import environment, isolation, objects, overrides, placement, plain_text, programs, volumes
from stormc.policy.breach import Breach, Case
from stormc.policy.pods import pods_of

OF_THE_APP = (
    objects.namespace, objects.services, objects.network, objects.metadata, overrides.overrides, plain_text.plain_text,
)  # fmt: skip
OF_PODS = (
    isolation.security, isolation.service_account, isolation.surroundings, volumes.host_paths, volumes.other_volumes,
    placement.nodes, placement.neighbours, placement.taints, placement.priority, placement.queue, placement.npus,
    placement.devices, programs.containers, programs.hidden_programs, programs.flags, programs.engine,
    environment.secrets, environment.variables,
)  # fmt: skip


def breaches(case: Case, spec: str) -> Iterator[Breach]:
    """The breaches of an app whose spec lies at a path below specs/, without those that an exception allows."""
    for breach in _all(case):
        if not case.policy.excepts(spec, breach.rule, breach.layer):
            yield breach


def _all(case: Case) -> Iterator[Breach]:
    for concern in OF_THE_APP:
        yield from concern(case)
    for pod in pods_of(case):
        for part in OF_PODS:
            yield from part(pod)
