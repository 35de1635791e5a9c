"""Whatever happens to a pool in whatever order, its loads, states and choices fit together."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.fleet.instance import HEALTHY
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.settings import Address
from tests.proxy.scene import Scene

STEP = st.one_of(
    st.tuples(st.just("pick"), st.integers(1, 5000), st.sets(st.integers(0, 5), max_size=2)),
    st.tuples(st.just("release"), st.integers(0, 200), st.just(frozenset[int]())),
    st.tuples(
        st.sampled_from(["fail", "succeed", "good", "bad", "add", "remove", "sweep", "tick"]),
        st.integers(0, 5),
        st.just(frozenset[int]()),
    ),
)


@settings(max_examples=150)
@given(
    st.lists(STEP, max_size=120), st.integers(1, 6), st.booleans(), st.booleans(), st.sampled_from([100, 50]),
    st.sampled_from([0.0, 5.0]),
)  # fmt: skip
def test_after_any_steps(
    steps: list[tuple[str, int, set[int]]], size: int, cumulative: bool, panic: bool, percent: int, slow: float
) -> None:
    addresses = [Address(f"10.0.0.{number}", 1) for number in range(6)]
    scene = Scene(
        *addresses[:size], cumulative=cumulative, panic=panic, max_isolated_percent=percent, slow_start=slow,
        max_failures=1,
    )  # fmt: skip
    pool = scene.pool
    open_leases: list[tuple[Lease, int, int]] = []
    for name, number, avoided in steps:
        scene.now += 0.5
        known = pool.instances.get(addresses[number % 6])
        if name == "pick":
            avoid = [addresses[each] for each in avoided]
            healthy = [i for i in pool if i.state == HEALTHY and i.address not in avoid]
            least = min(((i.load + i.handicap, i.picked) for i in healthy), default=None)
            lease = pool.pick(number, avoid)
            if lease is None:
                assert not healthy
            else:
                instance = lease.instance
                open_leases.append((lease, number, instance.epoch))
                assert instance.address not in avoid
                if instance.state == HEALTHY:
                    assert least is not None and instance.load - number + instance.handicap == least[0]
                    assert all(i.picked >= least[1] for i in healthy if i.load + i.handicap == least[0]), "a tie"
                else:
                    assert panic and not pool.usable and not healthy
        elif name == "release" and open_leases:
            open_leases.pop(number % len(open_leases))[0].release()
        elif name == "add":
            pool.add(addresses[number])
        elif name == "remove":
            pool.remove(addresses[number])
        elif name == "sweep":
            pool.sweep()
        elif name == "tick":
            pool.tick()
        elif known is not None:
            {"fail": pool.failed, "succeed": pool.succeeded}.get(
                name, lambda instance, good=name == "good": pool.probed(instance, good)
            )(known)
        _check(pool, open_leases)
    for lease, _, _ in open_leases:
        lease.release()
    _check(pool, [])


def _check(pool: Pool, leases: list[tuple[Lease, int, int]]) -> None:
    assert pool.usable == sum(1 for instance in pool if instance.state == HEALTHY)
    assert len(pool._heap) <= 64 + 4 * len(pool.instances)
    for instance in pool:
        assert instance.score >= 0 and instance.load >= 0 and instance.handicap >= 0
        ours = [lease for lease in leases if lease[0].instance is instance]
        assert instance.active == len(ours)
        assert instance.load == sum(load for _, load, epoch in ours if epoch == instance.epoch)
        if instance.state == HEALTHY:
            assert sum(entry[2] == instance.stamp for entry in pool._heap) == 1, "each has its place, once"
        if pool.policy.max_isolated_percent == 100:
            assert instance.state != HEALTHY or instance.failures <= pool.policy.max_failures
