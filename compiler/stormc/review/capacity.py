"""What all apps together take of the declared nodes, as a table, JSON, and a picture of the super pods."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from html import escape
from typing import Any

from stormc.nouns import nodes, npus
from stormc.phrase import Phrase, aligned, indented, phrase
from stormc.record import NamedTuple
from stormc.review.gangs import Gang
from stormc.review.placing import Placement, Pool, Verdict, place

VERDICTS = {
    Verdict.FITS: phrase("all gangs fit at once"),
    Verdict.RESERVE: phrase("all gangs fit at once, but only in nodes that the scheduler keeps in reserve"),
    Verdict.UNPROVEN: phrase("no arrangement was found; the sum fits, another arrangement may exist"),
    Verdict.TOO_SMALL: phrase("the gangs cannot all run at once"),
}


class Demand(NamedTuple):
    """An app and its gangs; `pool` is the directory of the inventory that it takes from, None where there is none."""

    app: str
    hardware: str
    pool: str | None
    gangs: tuple[Gang, ...]

    @property
    def npus(self) -> int:
        """The NPUs of all gangs."""
        return sum(gang.npus for gang in self.gangs)


class Capacity(NamedTuple):
    """All pools with what is placed in them, and the apps that no inventory counts."""

    placements: tuple[Placement, ...]
    demands: tuple[Demand, ...]
    uncounted: tuple[Demand, ...]


def capacity(pools: Sequence[Pool], demands: Sequence[Demand]) -> Capacity:
    """Every gang in the pool that its app takes from."""
    known = {(pool.directory, pool.hardware) for pool in pools}
    placements = [
        place(pool, [g for d in demands if (d.pool, d.hardware) == pool[:2] for g in d.gangs]) for pool in pools
    ]
    uncounted = [demand for demand in demands if (demand.pool, demand.hardware) not in known]
    return Capacity(tuple(placements), tuple(demands), tuple(uncounted))


class Rollout(NamedTuple):
    """The pools before a change, while it rolls out, and after it. `staying` are apps whose old pods stay meanwhile.

    A pod that is replaced gives its NPUs back first: AIBrix deletes it, then makes the new one. Pods of removed
    apps, and pods that the controller leaves behind, hold theirs until somebody prunes or deletes them.
    """

    before: Capacity
    during: Capacity
    after: Capacity
    staying: tuple[str, ...]


def rollout(before: Capacity, after: Capacity, left_behind: Collection[str]) -> Rollout:
    """The pools at the three times; `left_behind` are apps of both sides whose old pods stay."""
    named = {demand.app for demand in after.demands}
    old = [demand for demand in before.demands if demand.app not in named or demand.app in left_behind]
    both = [*after.demands, *(demand._replace(app=f"{demand.app} (old pods)") for demand in old)]
    pools = [one.pool for one in after.placements]
    during = capacity(pools, both) if old else after
    return Rollout(before, during, after, tuple(demand.app for demand in old))


def rollout_rows(change: Rollout) -> Iterator[tuple[str, ...]]:
    """Inventory, product, NPUs, those used before, during and after the rollout, and the verdicts of the last two."""
    before = {one.pool[:2]: one.used for one in change.before.placements}
    for during, after in zip(change.during.placements, change.after.placements, strict=True):
        used = (before.get(after.pool[:2], 0), during.used, after.used)
        yield (after.pool.directory or ".", after.pool.hardware, str(after.total), *map(str, used),
               VERDICTS[during.verdict], VERDICTS[after.verdict])  # fmt: skip


def free_for(report: Capacity, app: str) -> int | None:
    """The NPUs of an app's pool that nothing takes; None where no inventory counts them."""
    demand = next((d for d in report.demands if d.app == app), None)
    for one in report.placements:
        if demand is not None and one.pool[:2] == (demand.pool, demand.hardware):
            return one.total - one.used
    return None


def text(report: Capacity, change: Rollout | None = None) -> Iterator[str]:
    """Tables for a terminal: pools, then apps with their gangs; with a change what the pools hold meanwhile."""
    rows: list[tuple[str, ...]] = [("INVENTORY", "PRODUCT", "NODES", "NPUS", "USED", "FREE", "STRANDED")]
    for one in report.placements:
        numbers = (one.pool.nodes, one.total, one.used, one.total - one.used, one.stranded)
        rows.append((one.pool.directory or ".", one.pool.hardware, *map(str, numbers)))
    if report.placements:
        yield from aligned(rows)
    for one in report.placements:
        place = f"{one.pool.directory or '.'} {one.pool.hardware}"
        yield phrase("{place}: {verdict}", place=place, verdict=VERDICTS[one.verdict])
        if one.pool.super_pod and one.pool.reserved:
            reserve = phrase("in reserve: {nodes} of each super pod of {size}", nodes=nodes(one.pool.reserved),
                             size=one.pool.super_pod)  # fmt: skip
            yield indented(reserve)
        yield from (indented(_no_place(gang)) for gang in one.missing)
    if change is not None:
        yield from _since(change)
    if report.placements:
        yield ""
    lines: list[tuple[str, ...]] = [("APP", "PRODUCT", "GANG", "PODS", "NPUS")]
    for demand in report.demands:
        for gang in demand.gangs:
            lines.append((demand.app, demand.hardware, gang.label, str(len(gang.pods)), str(gang.npus)))
    yield from aligned(lines)
    for demand in report.uncounted:
        yield phrase("{app}: no inventory counts nodes of {hardware}", app=demand.app, hardware=demand.hardware)


def _no_place(gang: Gang) -> Phrase:
    return phrase("no place for {app} {gang} ({npus})", app=gang.app, gang=gang.label, npus=npus(gang.npus))


def _since(change: Rollout) -> Iterator[Phrase]:
    for where, product, _, before, during, after, verdict, _ in rollout_rows(change):
        pool = f"{where} {product}"
        if not before == during == after:
            yield phrase("{pool}: {before} NPUs used before, {during} during the rollout, {after} after it", pool=pool,
                         before=before, during=during, after=after)  # fmt: skip
        if change.staying:
            yield phrase("{pool}, during the rollout: {verdict}", pool=pool, verdict=verdict)
    for app in change.staying:
        yield indented(phrase("{app}: its old pods hold their NPUs until they are pruned", app=app))


def as_json(report: Capacity, change: Rollout | None = None) -> str:
    """All of it for programs; with a change each pool has the NPUs that are used before and during it."""
    before = {one.pool[:2]: one.used for one in change.before.placements} if change is not None else {}
    during = {one.pool[:2]: one for one in change.during.placements} if change is not None else {}
    pools = [
        {
            "inventory": one.pool.directory, "hardware": one.pool.hardware, "nodes": one.pool.nodes, "npus": one.total,
            "used": one.used, "free": one.total - one.used, "stranded": one.stranded,
            "verdict": one.verdict.name.lower(), "missing": [_gang(gang) for gang in one.missing],
            **(_meanwhile(before.get(one.pool[:2], 0), during[one.pool[:2]]) if during else {}),
        }
        for one in report.placements
    ]  # fmt: skip
    apps = [
        {"app": d.app, "hardware": d.hardware, "inventory": d.pool, "npus": d.npus, "gangs": [*map(_gang, d.gangs)]}
        for d in report.demands
    ]
    return json.dumps({"pools": pools, "apps": apps}, indent=2) + "\n"


def _meanwhile(before: int, during: Placement) -> dict[str, Any]:
    return {"usedBefore": before, "usedDuring": during.used, "verdictDuring": during.verdict.name.lower()}


def _gang(gang: Gang) -> dict[str, Any]:
    roles = [{"role": role, "pods": pods, "npusPerPod": npus} for role, pods, npus in gang.roles]
    return {"app": gang.app, "gang": gang.label, "npus": gang.npus, "block": gang.block, "roles": roles}


COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb5566", "#004488", "#ddaa33", "#999933",
)  # fmt: skip
CELL, GAP, PER_ROW = 22, 4, 48


def page(report: Capacity) -> str:
    """One page without anything from outside: each pool as its super pods, nodes filled by the app that takes them."""
    apps = sorted({demand.app for demand in report.demands})
    colours = {app: COLOURS[index % len(COLOURS)] for index, app in enumerate(apps)}
    legend = "".join(f'<span class="app"><i style="background:{colours[app]}"></i>{escape(app)}</span>' for app in apps)
    pools = "".join(_pool(one, colours) for one in report.placements)
    return _PAGE.format(legend=legend, pools=pools or "<p>No platform file has an inventory.</p>")


def _pool(one: Placement, colours: dict[str, str]) -> str:
    title = f"{one.pool.directory or 'specs'}: {one.pool.hardware}"
    sums = f"{one.used} of {one.total} NPUs used, {one.stranded} stranded; {VERDICTS[one.verdict]}"
    missing = "".join(f"<li>no place for {escape(g.app)} {escape(g.label)} ({npus(g.npus)})</li>" for g in one.missing)
    rows = "".join(_super_pod(index, nodes, one, colours) for index, nodes in enumerate(one.super_pods))
    return f"<section><h2>{escape(title)}</h2><p>{escape(sums)}</p><ul>{missing}</ul>{rows}</section>"


def _super_pod(index: int, nodes: Sequence[Any], one: Placement, colours: dict[str, str]) -> str:
    width = min(len(nodes), PER_ROW) * (CELL + GAP) or CELL
    height = -(-len(nodes) // PER_ROW) * (CELL + GAP) or CELL
    cells = []
    for number, node in enumerate(nodes):
        x, y = number % PER_ROW * (CELL + GAP), number // PER_ROW * (CELL + GAP)
        shares, bottom = [], float(CELL)
        for pod in node.pods:
            part = CELL * pod.npus / one.pool.node_npus
            bottom -= part
            shares.append(
                f'<rect x="{x}" y="{y + bottom:.1f}" width="{CELL}" height="{part:.1f}" fill="{colours[pod.app]}"/>'
            )
        names = "; ".join(f"{pod.app} {pod.label}: {pod.npus} NPUs" for pod in node.pods) or "free"
        cells.append(
            f'<g><title>node {number + 1}: {escape(names)}</title><rect x="{x}" y="{y}" width="{CELL}" '
            f'height="{CELL}" class="node"/>{"".join(shares)}</g>'
        )
    label = f"super pod {index + 1}" if one.pool.super_pod else "nodes"
    return f'<h3>{label}</h3><svg viewBox="0 0 {width} {height}" width="{width}" role="img">{"".join(cells)}</svg>'


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>stormc capacity</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
h1 {{ font-size: 1.3rem }} h2 {{ font-size: 1.1rem; margin-bottom: 0 }} h3 {{ font-size: .9rem; margin: .6rem 0 .2rem }}
svg {{ max-width: 100% }} .node {{ fill: #e8e8e8; stroke: #bbb }}
.app {{ margin-right: 1rem; white-space: nowrap }}
.app i {{ display: inline-block; width: .8em; height: .8em; margin-right: .3em }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #111 }} .node {{ fill: #333; stroke: #555 }} }}
</style>
<h1>Capacity</h1><p>{legend}</p>{pools}
</html>
"""
