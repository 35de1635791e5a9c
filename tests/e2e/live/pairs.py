"""Random changes of random specs: what a repository has before and after, drawn by hypothesis from a seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from stormc.repository.profiles import builtin_profile
from tests.samples import compile_in, repository
from tests.strategies import RELEASES, specs

MOST_PODS = 12
"""Of one app: larger ones show nothing more, and take longer."""
Spec = dict[str, Any]


class Draft(NamedTuple):
    """One side: a spec, the file below specs/ in which it stands, and the MindCluster release of its platform."""

    path: str
    spec: Spec
    mindcluster: str

    def files(self, aibrix: str) -> dict[str, str]:
        """The files of the repository that this side needs."""
        platform = f'apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "{self.mindcluster}"\naibrix: {aibrix}\n'
        directory = self.path.partition("/")[0]
        return {self.path: json.dumps(self.spec, ensure_ascii=False), f"{directory}/platform.yaml": platform}


class Pair(NamedTuple):
    """Two sides, and the names of the changes that lead from one to the other."""

    changes: tuple[str, ...]
    before: Draft
    after: Draft


def as_pair(written: Sequence[Any]) -> Pair:
    """A pair that was written as JSON."""
    changes, *sides = written
    before, after = (Draft(*side) for side in sides)
    return Pair(tuple(changes), before, after)


def draw_pairs(count: int, aibrix: str, start: int) -> list[Pair]:
    """So many pairs whose sides are both valid.

    The same ones for the same seed and the same sources: hypothesis takes some of its values from these.
    """
    drawn: list[Pair] = []
    times = Counter(dict.fromkeys(CHANGES, 0))

    @seed(start)
    @settings(
        max_examples=count * 9, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(pairs())
    def draw(pair: Pair) -> None:
        if len(drawn) < count:
            # What hypothesis likes less comes first: without this some kinds would come once in 200.
            assume(min(times[kind] for kind in pair.changes) <= min(times.values()) + SPREAD)
            assume(pair.before != pair.after and all(_valid(side, aibrix) for side in (pair.before, pair.after)))
            drawn.append(_named(pair, len(drawn)))
            times.update(pair.changes)

    draw()
    return drawn


def _valid(side: Draft, aibrix: str) -> bool:
    made = compile_in(repository(side.files(aibrix)))
    return made.files is not None


def _named(pair: Pair, number: int) -> Pair:
    """The pair with names, namespaces and directories that no other pair has."""
    sides = []
    for side in (pair.before, pair.after):
        spec = side.spec | {"name": f"{side.spec['name']}-{number}", "namespace": f"{side.spec['namespace']}-{number}"}
        sides.append(Draft(f"{number}/{side.path}", spec, side.mindcluster))
    return Pair(pair.changes, *sides)


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """A valid app, small enough for a test, and one to three changes of it."""
    spec, release = draw(specs())
    spec |= {"name": "app", "namespace": "ns"}
    for role in ("prefill", "decode"):
        spec[role]["replicas"] = draw(st.integers(1, 3))
    assume(sum(spec[r]["replicas"] * spec[r]["podGroupSize"] for r in ("prefill", "decode")) <= MOST_PODS)
    before = Draft("app.yaml", spec, release)
    kinds = draw(st.lists(st.sampled_from(list(CHANGES)), min_size=1, max_size=3, unique=True))
    after = before
    for kind in kinds:
        after = draw(CHANGES[kind](deepcopy(after)))
    sizes = sum(after.spec[r].get("replicas", 1) * after.spec[r]["podGroupSize"] for r in ("prefill", "decode"))
    assume(sizes <= MOST_PODS)
    return Pair(tuple(kinds), before, after)


ENGINES = st.sampled_from(["prefill", "decode"])
ROLES = st.sampled_from(["prefill", "decode", "routing"])


def _set(side: Draft, path: tuple[str, ...], value: Any) -> Draft:
    node = side.spec
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = value
    return side


@st.composite
def replicas(draw: st.DrawFn, side: Draft, role: str) -> Draft:
    return _set(side, (role, "replicas"), draw(st.integers(1, 4)))


@st.composite
def group_size(draw: st.DrawFn, side: Draft) -> Draft:
    role, size = draw(ENGINES), draw(st.sampled_from([1, 2, 3, 4]))
    profile = builtin_profile(side.spec["hardware"])
    assert profile is not None
    parallel = profile.npus // side.spec[role]["tensorParallel"] * size
    side = _set(side, (role, "podGroupSize"), size)
    return _set(side, (role, "dataParallel"), parallel)


@st.composite
def image(draw: st.DrawFn, side: Draft) -> Draft:
    role = draw(st.sampled_from([(), ("prefill",), ("decode",), ("routing",)]))
    return _set(
        side, (*role, "image"), draw(st.sampled_from(["vllm-ascend:v0.12.0rc1", "mirror/vllm-ascend:v0.12.0rc1"]))
    )


@st.composite
def flag(draw: st.DrawFn, side: Draft) -> Draft:
    value = draw(st.sampled_from([None, 7, 8]))
    return _set(side, (draw(ENGINES), "engineArgs", "max-num-seqs"), value)


@st.composite
def variable(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(
        side, (draw(ENGINES), "env", draw(st.sampled_from(["A", "Z_LAST"]))), draw(st.sampled_from(["x", "$(A)", 3]))
    )


@st.composite
def label(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(
        side, (draw(ROLES), draw(st.sampled_from(["labels", "annotations"])), "team"), draw(st.sampled_from(["a", "b"]))
    )


@st.composite
def faults(draw: st.DrawFn, side: Draft) -> Draft:
    field, value = draw(st.sampled_from([
        ("scheduling", "force"), ("scheduling", "grace"), ("scheduling", "off"), ("retries", 0), ("retries", 3),
        ("subHealthy", "ignore"), ("subHealthy", "graceExit"), ("subHealthy", "forceExit"),
    ]))  # fmt: skip
    return _set(side, ("faults", field), value)


@st.composite
def proxy(draw: st.DrawFn, side: Draft) -> Draft:
    field, value = draw(st.sampled_from([
        ("maxFailures", 5), ("probeIntervalSeconds", 2), ("maxRetries", 2), ("drainSeconds", 61), ("port", 9001),
        ("source", "image"), ("panic", True),
    ]))  # fmt: skip
    return _set(side, ("proxy", field), value)


@st.composite
def gateway(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, ("gateway",), draw(st.sampled_from(["router", "off", "roles"])))


@st.composite
def network_policy(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, ("networkPolicy",), draw(st.booleans()))


@st.composite
def top(draw: st.DrawFn, side: Draft) -> Draft:
    field, value = draw(st.sampled_from([
        ("port", 9100), ("expertParallel", True), ("queue", "silver"), ("shmSize", "32Gi"),
    ]))  # fmt: skip
    return _set(side, (field,), value)


@st.composite
def min_available(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, (draw(ENGINES), "minAvailable"), draw(st.integers(1, 4)))


@st.composite
def startup(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, ("engine", "startupSeconds"), draw(st.sampled_from([1800, 3600])))


@st.composite
def override(draw: st.DrawFn, side: Draft) -> Draft:
    role = draw(ENGINES)
    patches: list[dict[str, Any]] = [
        {"spec": {"updateStrategy": {"type": "RollingUpdate"}}},
        {"spec": {"template": {"metadata": {"labels": {"team": "x"}}}}},
        {"spec": {"template": {"spec": {"roles": [{"name": role, "updateStrategy": {"maxUnavailable": 2}}]}}}},
        {"spec": {"template": {"spec": {"roles": [{"name": role, "upgradeOrder": draw(st.integers(1, 9))}]}}}},
        {"spec": {"template": {"spec": {"roles": [{"name": role, "template": {"metadata": {"labels": {"o": "1"}}}}]}}}},
        {"metadata": {"annotations": {"a": "b"}}},
    ]
    one = {"target": "StormService", "patch": draw(st.sampled_from(patches)), "reason": "a test", "owner": "e2e"}
    return _set(side, ("overrides",), [*side.spec.get("overrides", ()), one])


@st.composite
def move(draw: st.DrawFn, side: Draft) -> Draft:
    return side._replace(path=f"{draw(st.sampled_from(['eu', 'eu/prod']))}/app.yaml")


@st.composite
def rename(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, ("name",), draw(st.sampled_from(["app-new", "bpp"])))


@st.composite
def namespace(draw: st.DrawFn, side: Draft) -> Draft:
    return _set(side, ("namespace",), draw(st.sampled_from(["ns-new", "other"])))


@st.composite
def release(draw: st.DrawFn, side: Draft) -> Draft:
    profile = builtin_profile(side.spec["hardware"])
    assert profile is not None
    return side._replace(
        mindcluster=draw(st.sampled_from([r for r in RELEASES if float(r) >= float(profile.mindcluster)]))
    )


CHANGES: dict[str, Any] = {
    **{f"replicas of {role}": partial(replicas, role=role) for role in ("prefill", "decode", "routing")},
    "group size": group_size, "image": image, "flag": flag, "variable": variable, "label": label, "faults": faults,
    "proxy": proxy, "gateway": gateway, "network policy": network_policy, "port, queue, memory": top,
    "minAvailable": min_available, "startup": startup, "override": override, "move": move, "rename": rename,
    "namespace": namespace, "MindCluster release": release,
}  # fmt: skip
SPREAD = 2
"""How many times more than the rarest a kind may be drawn and still be the reason to take a pair."""
