"""Findings on changes of podGroupSize: what AIBrix then does to running pods differs by release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from stormc.finding import Finding
from stormc.load.document import load_document
from stormc.model.layers import Layer, Layered, finding_at, merge_layers
from stormc.phrase import phrase
from stormc.repository.checks import FOUGHT_FOR, LEFT_BEHIND, REPLACED
from stormc.review.diff import AppChange, Side
from stormc.review.effect import RoleEffect, What
from stormc.targets.storm_service import pod_group_size, roles, service_in

ANOTHER_NAME = phrase("deploy the app under another name, then delete the old one")


def check_resizing(changes: Iterable[AppChange]) -> Iterator[Finding]:
    """A finding for every role whose podGroupSize changes while the app keeps its name, at the field of the spec."""
    for change in changes:
        before, after = change.before, change.after
        if before is None or after is None or before.label != after.label:
            continue
        sizes = [_sizes(side) for side in (before, after)]
        for role in change.effect.roles:
            pair = (sizes[0].get(role.role, 0), sizes[1].get(role.role, 0))
            if pair[0] != pair[1] and all(pair):
                yield _finding(after, role, pair)


def _sizes(side: Side) -> dict[str, int]:
    """The podGroupSize of each role, as it is rendered."""
    storm = service_in(side.manifests or ())
    return {role["name"]: pod_group_size(role) for role in roles(storm)} if storm else {}


def _finding(after: Side, role: RoleEffect, sizes: tuple[int, int]) -> Finding:
    layered, path = _layered(after.file), (role.role, "podGroupSize")
    name, (before, now) = role.role, sizes
    if role.worst is What.CANNOT_CHANGE:
        message = phrase(
            "podGroupSize of {role} goes from {before} to {after}: before v0.7 two controllers of AIBrix then delete "
            "and create its pods without an end",
            role=name,
            before=before,
            after=now,
        )
        return finding_at(layered, FOUGHT_FOR, path, message, ANOTHER_NAME)
    if role.worst is What.ORPHANED:
        message = phrase(
            "podGroupSize of {role} goes from {before} to {after}: before v0.7 AIBrix leaves the old pods running, "
            "{pods} with {npus} NPUs",
            role=name,
            before=before,
            after=now,
            pods=role.orphaned,
            npus=role.orphaned * role.npus_per_pod[0],
        )
        return finding_at(layered, LEFT_BEHIND, path, message, ANOTHER_NAME)
    how = phrase("all at once") if role.at_once else phrase("instance by instance")
    message = phrase(
        "podGroupSize of {role} goes from {before} to {after}: all its pods are replaced, {how}",
        role=name,
        before=before,
        after=now,
        how=how,
    )
    return finding_at(layered, REPLACED, path, message)


def _layered(file: str) -> Layered:
    """The spec as it is on disk; comparing has read it already."""
    document, _ = load_document(file, Path(file).read_bytes())
    assert document is not None
    return merge_layers([Layer(document)])
