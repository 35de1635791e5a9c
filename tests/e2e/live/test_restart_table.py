"""Every row of docs/restarts.md on live pods: which stay, which come, which go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import yaml

from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.predictions import Manifests, Pods, seen
from tests.e2e.summary import record
from tests.restart_table import ROLES, documented, rows
from tests.samples import merge

WORKERS, QUIET_SECONDS, CHURN = 6, 1.0, 20
SINGLE, PAIR, FOUR = (f"decode: {{podGroupSize: {size}, dataParallel: {16 * size}}}" for size in (1, 2, 4))
SIZES = {"podGroupSize 2 → 4": (PAIR, FOUR), "podGroupSize 1 → 2": (SINGLE, PAIR), "podGroupSize 2 → 1": (PAIR, SINGLE)}
NAME = "qwen3-moe"


class Row(NamedTuple):
    """A change of a spec, and what the document says of the roles."""

    number: int
    base: str
    change: str
    told: tuple[str, ...]


class Watched(NamedTuple):
    """The pods of a role before, and the instances and pods that there are to be after."""

    before: set[str]
    instances: int
    size: int


def test_every_row_of_the_table(live: LiveCluster) -> None:
    table = [Row(number, *row) for number, row in enumerate(rows())]
    assert len(table) > 25
    with ThreadPoolExecutor(WORKERS) as pool:
        wrong = [line for lines in pool.map(lambda row: compare(live, row), table) for line in lines]
    record(live.release, "restart table", f"{len(table) - len(wrong)} of {len(table)} rows right")
    assert not wrong, "\n".join(wrong)


def compare(live: LiveCluster, row: Row) -> list[str]:
    """Makes the change; the roles of which other pods stay, come or go than the row says."""
    both = yaml.safe_dump(merge(yaml.safe_load(row.base), yaml.safe_load(row.change)))
    before, after = (shaped(overlay, live.platform_release, f"row-{row.number}") for overlay in (row.base, both))
    there = start(live, before)
    live.apply(after)
    wanted = {role: counts(told, there[role], after, role) for role, told in zip(ROLES, row.told, strict=True)}

    def came() -> dict[str, Pods]:
        return {role: seen(there[role], live.uids(f"row-{row.number}", NAME, role)) for role in ROLES}

    try:
        eventually(lambda: settled(live, f"row-{row.number}") and came() == wanted, "")
    except AssertionError:
        return [f"{row.change}: expected {wanted}, came {came()}, {live.problem(f'row-{row.number}', NAME)}"]
    finally:
        live.remove(f"row-{row.number}", NAME)
    return []


def start(live: LiveCluster, manifests: Manifests) -> dict[str, set[str]]:
    """Brings an app to its namespace; its pods by role once it is ready."""
    namespace = live.namespace(manifests[0]["metadata"]["namespace"])
    live.apply(manifests)
    live.until_ready(namespace, NAME)
    return {role: live.uids(namespace, NAME, role) for role in ROLES}


def settled(live: LiveCluster, namespace: str) -> bool:
    """Whether the app is ready and nothing has happened for a while."""
    live.kubelet.check()
    return not live.problem(namespace, NAME) and live.kubelet.quiet_for(namespace) >= QUIET_SECONDS


def counts(told: str, before: set[str], after: Manifests, role: str) -> Pods:
    """What a cell means: `restart +1`, `+2`, `−1` or `–`."""
    storm = next(m for m in after if m["kind"] == "StormService")
    (found,) = (r for r in storm["spec"]["template"]["spec"]["roles"] if r["name"] == role)
    size = int(found.get("podGroupSize") or 1)
    more = sum(int(number.replace("−", "-")) for number in re.findall(r"[+−]\d+", told)) * size
    if told.startswith("restart"):
        return Pods(0, len(before) + more, len(before))
    return Pods(len(before) + min(more, 0), max(more, 0), -min(more, 0))


def test_another_size_of_instances(live: LiveCluster) -> None:
    column = 1 if live.release.version >= (0, 7) else 0
    for number, (change, sides) in enumerate(SIZES.items()):
        resize(live, f"size-{number}", documented(change)[column], sides)


def resize(live: LiveCluster, namespace: str, told: str, sides: Sequence[str]) -> None:
    """Changes the size of decode's instances, and waits until what the document tells has come true."""
    before, after = (shaped(overlay, live.platform_release, namespace) for overlay in sides)
    there = start(live, before)
    mark = live.kubelet.mark()
    live.apply(after)
    old = there["decode"]

    def new() -> set[str]:
        return live.uids(namespace, NAME, "decode") - old

    def old_left() -> set[str]:
        return live.uids(namespace, NAME, "decode") & old

    if told.startswith("restart"):
        eventually(lambda: settled(live, namespace) and new() and not old_left(), f"{namespace}: {told}")
    elif told.startswith("new pods"):
        eventually(lambda: settled(live, namespace) and len(new()) == 2, f"{namespace}: {told}")
        assert old_left() == old
    else:

        def fights() -> bool:
            happened = live.kubelet.happenings[mark:]
            return sum(h.namespace == namespace and h.what == "created" for h in happened) > CHURN

        eventually(fights, f"{namespace}: {told}")
    live.remove(namespace, NAME)
