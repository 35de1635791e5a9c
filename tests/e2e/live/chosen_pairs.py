"""Changes that a draw meets seldom: groups of another size, and a role that restarts while its replicas change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import yaml

from tests.e2e.live.pairs import Draft, Pair
from tests.samples import spec_text

Roles = dict[str, dict[str, int]]


def instances(size: int, count: int) -> dict[str, int]:
    """The fields of a role with so many instances of so many pods; a pod has 16 NPUs."""
    return {"replicas": count, "podGroupSize": size, "dataParallel": 16 * size}


CHOSEN: dict[str, tuple[Roles, Roles]] = {
    "smaller groups": ({"decode": instances(4, 2)}, {"decode": instances(2, 2)}),
    "larger groups": ({"decode": instances(2, 3)}, {"decode": instances(4, 3)}),
    "smaller groups, fewer": ({"decode": instances(3, 3)}, {"decode": instances(2, 2)}),
    "groups instead of single pods, fewer": ({"decode": instances(1, 2)}, {"decode": instances(2, 1)}),
    "fewer of both, and the shared gang size changes": (
        {"prefill": {"replicas": 3}, "decode": instances(1, 3)},
        {"prefill": {"replicas": 1}, "decode": instances(1, 2)},
    ),
    "more of one, fewer of the other": (
        {"prefill": {"replicas": 1}, "decode": instances(1, 3)},
        {"prefill": {"replicas": 3}, "decode": instances(1, 1)},
    ),
}


def chosen_pairs() -> list[Pair]:
    """Both sides of each of these changes, in a namespace of its own."""
    return [
        Pair((what,), *(_side(f"chosen-{number}", roles) for roles in sides))
        for number, (what, sides) in enumerate(CHOSEN.items())
    ]


def _side(name: str, roles: Roles) -> Draft:
    spec: dict[str, Any] = deepcopy(yaml.safe_load(spec_text())) | {"name": name, "namespace": name}
    for role, fields in roles.items():
        spec[role] |= fields
    return Draft(f"{name}/app.yaml", spec, "7.3")
