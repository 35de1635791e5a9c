"""An app held against its policy: every concern in a row, one function each."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.policy import environment, isolation, objects, overrides, placement, plain_text, programs, volumes
from stormc.policy.breach import Breach, Case
from stormc.policy.pods import pods_of

OF_APPS = (
    objects.namespace, objects.services, objects.network, objects.metadata, overrides.overrides, plain_text.plain_text,
)  # fmt: skip
OF_PODS = (
    isolation.security, isolation.service_account, isolation.surroundings, volumes.host_paths,
    placement.nodes, placement.neighbours, placement.taints, placement.priority, placement.queue, placement.devices,
    programs.containers, programs.hidden_programs, programs.flags, programs.engine,
    environment.secrets, environment.variables,
)  # fmt: skip
OF_OVERRIDDEN_PODS = (
    *OF_PODS, isolation.taken_back, volumes.other_volumes, placement.npus, programs.patched_commands,
)  # fmt: skip
"""What only an override can write is looked for only where there is one."""


def breaches(case: Case, spec: str) -> Iterator[Breach]:
    """The breaches of an app whose spec lies at a path below specs/, without those that an exception allows."""
    for breach in _all(case):
        if not case.policy.excepts(spec, breach.rule, breach.layer):
            yield breach


def _all(case: Case) -> Iterator[Breach]:
    for check in OF_APPS:
        yield from check(case)
    for pod in pods_of(case):
        for check_pod in OF_OVERRIDDEN_PODS if case.app.overrides else OF_PODS:
            yield from check_pod(pod)
