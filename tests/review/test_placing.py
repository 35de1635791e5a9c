"""Gangs of apps, and whether a pool takes them all, against tables and a brute-force oracle."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc.review.gangs import Gang, gangs
from stormc.review.placing import Pool, Verdict, place
from tests.samples import compiled


def test_instances_of_several_pods_have_gangs_of_their_own() -> None:
    found = list(gangs("a/b", compiled("decode: {replicas: 2, spBlock: 32}").manifests))
    assert found == [
        Gang("a/b", "decode-0", (("decode", 2, 16),), 32),
        Gang("a/b", "decode-1", (("decode", 2, 16),), 32),
        Gang("a/b", "prefill", (("prefill", 2, 16),), None),
    ]


def test_roles_of_single_pods_share_one() -> None:
    (only,) = gangs("a/b", compiled("decode: {podGroupSize: 1, dataParallel: 16}").manifests)
    assert (only.label, only.roles, only.npus) == ("prefill+decode", (("prefill", 2, 16), ("decode", 1, 16)), 48)
    assert list(gangs("a/b", [])) == []


def gang(*pods: int, block: int | None = None, label: str = "g") -> Gang:
    return Gang("a/b", label, tuple(("decode", 1, npus) for npus in pods), block)


PLAIN = Pool("", "atlas-800i-a2", 3, 8)
SUPER = Pool("", "atlas-900-a3-superpod", 10, 16, super_pod=4, reserved=1)  # usable: 3, 3, 1 nodes

CASES = [
    (PLAIN, [gang(8), gang(8), gang(8)], Verdict.FITS, 0, 0),
    (PLAIN, [gang(4), gang(4, 4), gang(8, 4)], Verdict.FITS, 0, 0),
    (PLAIN, [gang(6), gang(6)], Verdict.FITS, 0, 4),  # two NPUs are left on each of two nodes: for nobody
    (PLAIN, [gang(8, 8, 8, 8)], Verdict.TOO_SMALL, 1, 0),
    (PLAIN, [gang(16)], Verdict.TOO_SMALL, 1, 24),
    (SUPER, [gang(16, 16, 16, block=48), gang(16, 16, 16, block=48), gang(16)], Verdict.FITS, 0, 0),
    (SUPER, [gang(16, 16, 16, 16, block=64)], Verdict.RESERVE, 0, 32),  # four nodes only with the one in reserve
    (SUPER, [gang(16, 16, 16, 16, 16, block=80)], Verdict.TOO_SMALL, 1, 160),  # no super pod has five
    (SUPER, [gang(16, 16, 16, 16, block=32)], Verdict.FITS, 0, 48),  # a single node is left in each super pod
    (SUPER, [gang(16, 16, 16, 16, 16)], Verdict.TOO_SMALL, 1, 160),  # without sp-block the gang is one block
]


@pytest.mark.parametrize(("pool", "some", "verdict", "missing", "stranded"), CASES)
def test_each_set_of_gangs_has_its_verdict(
    pool: Pool, some: list[Gang], verdict: Verdict, missing: int, stranded: int
) -> None:
    placed = place(pool, some)
    assert (placed.verdict, len(placed.missing), placed.stranded) == (verdict, missing, stranded)
    assert placed.used == sum(g.npus for g in some) - sum(g.npus for g in placed.missing)


def fits(pool: Pool, some: list[Gang]) -> bool:
    """Tries every assignment of blocks to super pods and of pods to nodes."""
    sizes = [max(s - pool.reserved, 0) for s in (pool.super_pod, pool.nodes - pool.super_pod)]
    blocks = [g.pods for g in some]

    def nodes_take(pods: list[int], count: int) -> bool:
        def holds(where: tuple[int, ...], node: int) -> bool:
            return sum(npus for npus, at in zip(pods, where, strict=True) if at == node) <= pool.node_npus

        ways = product(range(count), repeat=len(pods))
        return any(all(holds(where, node) for node in range(count)) for where in ways) if count else not pods

    for where in product(range(2), repeat=len(blocks)):
        inside = [[n for b, at in zip(blocks, where, strict=True) if at == sp for n in b] for sp in range(2)]
        if all(nodes_take(pods, size) for pods, size in zip(inside, sizes, strict=True)):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([2, 4, 8]), min_size=1, max_size=2), min_size=1, max_size=4),
    st.integers(3, 6),
    st.integers(0, 1),
)
def test_a_verdict_is_never_wrong(shapes: list[list[int]], nodes: int, reserved: int) -> None:
    pool = Pool("", "x", nodes, 8, super_pod=3, reserved=reserved)
    some = [gang(*shape, label=str(i)) for i, shape in enumerate(shapes)]
    placed = place(pool, some)
    possible = fits(pool, some)
    if placed.verdict is Verdict.FITS:
        assert possible
    with_reserve = fits(pool._replace(reserved=0), some)
    if placed.verdict is Verdict.RESERVE:
        assert with_reserve
    if placed.verdict is Verdict.TOO_SMALL:
        assert not with_reserve
    assert all(node.free >= 0 for nodes_ in placed.super_pods for node in nodes_)
    assert placed.used + sum(n.free for nodes_ in placed.super_pods for n in nodes_) == placed.total
