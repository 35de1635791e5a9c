"""Whether all gangs of a pool of nodes can run at once: largest block first, into the fullest place that takes it.

The scheduler keeps some nodes of each super pod in reserve and takes them only for what fits nowhere else
(ascend-for-volcano superpod/frame.go, selectFromSuperPodsWithReserve), and so does this.

Packing is exact where it finds a place for everything, and where the NPUs do not suffice. Between the two it is a
heuristic: a gang that it leaves over may fit in another arrangement, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from stormc.record import NamedTuple
from stormc.review.gangs import Gang


class Verdict(Enum):
    """Whether everything fits."""

    FITS = "fits"
    RESERVE = "fits with the reserve"
    UNPROVEN = "no arrangement found"
    TOO_SMALL = "too small"


class Pool(NamedTuple):
    """Nodes of one product that apps share. `super_pod` is nodes per super pod, 0 for products without; `reserved`
    nodes of each super pod the scheduler keeps for what fits nowhere else."""

    directory: str
    hardware: str
    nodes: int
    node_npus: int
    super_pod: int = 0
    reserved: int = 0


class Placed(NamedTuple):
    """Pods of one gang on a node."""

    app: str
    label: str
    npus: int


@dataclass
class Node:
    """A node with what is left of it."""

    free: int
    pods: list[Placed] = field(default_factory=list)


@dataclass(frozen=True)
class Placement:
    """A pool with its gangs placed: nodes by super pod, gangs without a place, NPUs that nothing can use."""

    pool: Pool
    super_pods: tuple[tuple[Node, ...], ...]
    missing: tuple[Gang, ...]
    stranded: int
    verdict: Verdict

    @property
    def used(self) -> int:
        """NPUs that placed pods hold."""
        return sum(pod.npus for nodes in self.super_pods for node in nodes for pod in node.pods)

    @property
    def total(self) -> int:
        """NPUs of the pool, without those in reserve unless they are needed."""
        return sum(len(nodes) for nodes in self.super_pods) * self.pool.node_npus


def place(pool: Pool, gangs: Sequence[Gang]) -> Placement:
    """All gangs on the pool's nodes, as far as there is room; those in reserve are taken only where it is needed."""
    placed = _placed(pool, gangs)
    if not placed.missing or not pool.reserved:
        return placed
    everywhere = _placed(pool._replace(reserved=0), gangs)
    verdict = everywhere.verdict if everywhere.missing else Verdict.RESERVE
    return replace(everywhere, pool=pool, verdict=verdict)


def _placed(pool: Pool, gangs: Sequence[Gang]) -> Placement:
    super_pods = [[Node(pool.node_npus) for _ in range(size)] for size in _super_pods(pool)]
    missing = [gang for gang in sorted(gangs, key=_hardest_first) if not _place(gang, super_pods, pool)]
    shapes = {block for gang in gangs for block in _blocks(gang, pool)}
    stranded = sum(node.free for nodes in super_pods for node in _unusable(nodes, shapes))
    total = sum(map(len, super_pods)) * pool.node_npus
    verdict = Verdict.FITS if not missing else Verdict.UNPROVEN
    if missing and (sum(gang.npus for gang in gangs) > total or _hopeless(missing, pool)):
        verdict = Verdict.TOO_SMALL
    return Placement(pool, tuple(map(tuple, super_pods)), tuple(missing), stranded, verdict)


def _super_pods(pool: Pool) -> Iterator[int]:
    """Usable nodes of each super pod; a product without super pods is one place."""
    if not pool.super_pod:
        yield pool.nodes
        return
    whole, rest = divmod(pool.nodes, pool.super_pod)
    for size in [pool.super_pod] * whole + ([rest] if rest else []):
        yield max(size - pool.reserved, 0)


def _hardest_first(gang: Gang) -> tuple[int, int, str, str]:
    return -max(gang.pods), -gang.npus, gang.app, gang.label


def _blocks(gang: Gang, pool: Pool) -> Iterator[tuple[int, ...]]:
    """The pods that must share a super pod, as NPUs of each: a logical super pod each, else the whole gang."""
    pods = sorted(gang.pods, reverse=True)
    if not pool.super_pod:
        yield from ((npus,) for npus in pods)
        return
    block: list[int] = []
    for npus in pods:
        block.append(npus)
        if gang.block and sum(block) >= gang.block:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


def _place(gang: Gang, super_pods: Sequence[Sequence[Node]], pool: Pool) -> bool:
    """Puts every block of a gang somewhere, or nothing of it."""
    taken: list[tuple[Node, Placed]] = []
    for block in _blocks(gang, pool):
        nodes = _fullest(super_pods, block)
        if nodes is None:
            for node, pod in taken:
                node.pods.remove(pod)
                node.free += pod.npus
            return False
        for node, npus in zip(nodes, block, strict=True):
            pod = Placed(gang.app, gang.label, npus)
            node.pods.append(pod)
            node.free -= npus
            taken.append((node, pod))
    return True


def _fullest(super_pods: Iterable[Sequence[Node]], block: Sequence[int]) -> list[Node] | None:
    """Nodes for the pods of a block, in the super pod with the least room that takes them all."""
    for nodes in sorted(super_pods, key=lambda nodes: sum(node.free for node in nodes)):
        chosen = _fitting(nodes, block)
        if chosen is not None:
            return chosen
    return None


def _fitting(nodes: Sequence[Node], block: Sequence[int]) -> list[Node] | None:
    free = {id(node): node.free for node in nodes}
    chosen = []
    for npus in block:
        node = min((n for n in nodes if free[id(n)] >= npus), key=lambda n: free[id(n)], default=None)
        if node is None:
            return None
        free[id(node)] -= npus
        chosen.append(node)
    return chosen


def _unusable(nodes: Sequence[Node], shapes: Iterable[tuple[int, ...]]) -> list[Node]:
    """Nodes with free NPUs where not even the smallest block of the pool's gangs finds room."""
    room = [node for node in nodes if node.free]
    fitting = [shape for shape in shapes if _fitting(nodes, shape) is not None]
    if not fitting:
        return room if shapes else []
    smallest = min(min(shape) for shape in fitting)
    return [node for node in room if node.free < smallest]


def _hopeless(missing: Sequence[Gang], pool: Pool) -> bool:
    """Whether a gang would not even fit into the empty pool."""
    for gang in missing:
        empty = [[Node(pool.node_npus) for _ in range(size)] for size in _super_pods(pool)]
        if max(gang.pods) > pool.node_npus or not _place(gang, empty, pool):
            return True
    return False
