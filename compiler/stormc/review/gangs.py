"""The gangs of an app: pods that Volcano with MindCluster's plugin places together or leaves Pending together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.keys import Annotation
from stormc.record import NamedTuple
from stormc.review.effect import npus_of
from stormc.targets.storm_service import pod_group_size, roles, service_in

BLOCK = Annotation.SP_BLOCK
"""NPUs of one logical super pod; without it a gang on super-pod hardware is one block (superpod/frame.go:55-156)."""


class Gang(NamedTuple):
    """Pods that one PodGroup holds: (role, pods, NPUs per pod) of each role; `block` is None without an sp-block."""

    app: str
    label: str
    roles: tuple[tuple[str, int, int], ...]
    block: int | None

    @property
    def npus(self) -> int:
        """The NPUs of all its pods."""
        return sum(pods * npus for _, pods, npus in self.roles)

    @property
    def pods(self) -> tuple[int, ...]:
        """The NPUs of each of its pods."""
        return tuple(npus for _, pods, npus in self.roles for _ in range(pods))


def gangs(app: str, manifests: Sequence[Mapping[str, Any]]) -> Iterator[Gang]:
    """The gangs of an app: one per instance of a role of several pods, and one of all instances of the other roles.

    Pods of one RoleSet share a PodGroup where podGroupSize is 1, each PodSet has its own
    (MindCluster guide, 08_vllm_best_practice/01: three PodGroups in its example). Roles without NPUs are in none.
    """
    storm = service_in(manifests)
    if storm is None:
        return
    shared: list[tuple[str, int, int]] = []
    blocks: set[int | None] = set()
    for role in roles(storm):
        npus, size, instances = npus_of(role), pod_group_size(role), int(role["replicas"])
        if not npus or not instances:
            continue
        sp_block = (role["template"].get("metadata", {}).get("annotations") or {}).get(BLOCK)
        block = int(sp_block) if sp_block and str(sp_block).isdecimal() else None
        if size == 1:
            shared.append((role["name"], instances, npus))
            blocks.add(block)
        else:
            for instance in range(instances):
                yield Gang(app, f"{role['name']}-{instance}", ((role["name"], size, npus),), block)
    if shared:
        label = "+".join(name for name, _, _ in shared)
        yield Gang(app, label, tuple(shared), next(iter(blocks)) if len(blocks) == 1 else None)
