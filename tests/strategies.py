"""Random valid apps for hypothesis, and what they render to."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from stormc.repository.profiles import builtin_names, builtin_profile
from tests.samples import compile_in, repository

RELEASES = ["7.3", "26.0", "26.1"]


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,6})?", fullmatch=True)
# Words that a YAML reader may take for something else, as values where any text is allowed.
words = st.sampled_from(["on", "y", "1", "12:30", "0x10", "null", "1e3", "~", "a b", "on-call", "é", "'", '"', "a: b"])
label_values = st.sampled_from(["on", "y", "1", "NO", "0x10", "null", "1e3", "a.b", "true"])


@st.composite
def roles(draw: st.DrawFn, npus: int, most_parallel: int) -> dict[str, Any]:
    """A role whose ranks fill its pods, each rank on at most so many NPUs."""
    size = draw(st.sampled_from([1, 1, 2, 4]))
    tp = draw(st.sampled_from([t for t in (1, 2, 4, 8, 16) if t <= min(npus, most_parallel)]))
    role: dict[str, Any] = {"podGroupSize": size, "tensorParallel": tp, "dataParallel": npus // tp * size}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "replicas": st.integers(1, 4),
        "env": st.dictionaries(st.sampled_from(["A", "B", "HCCL_BUFFSIZE"]), words | st.integers(0, 99), max_size=3),
        "labels": st.dictionaries(st.sampled_from(["team", "x.y/z"]), label_values, max_size=2),
        "annotations": st.dictionaries(st.sampled_from(["note", "x.y/z"]), words, max_size=2),
        "engineArgs": st.fixed_dictionaries(
            {},
            optional={
                "max-num-seqs": st.none() | st.integers(1, 99),
                "enforce-eager": st.none() | st.booleans(),
                "hf-overrides": st.none() | st.just({"b": 1, "a": [True]}),
                "x-of-a-plugin": words | st.integers(0, 9),
            },
        ),
        "resources": st.fixed_dictionaries({}, optional={"cpu": st.sampled_from(["500m", 8, "1000m"])}),
        "shmSize": st.sampled_from(["1024Mi", "64Gi"]),
        "distributedDp": st.just(False),
    }
    for field, strategy in optional.items():
        if draw(st.booleans()):
            role[field] = draw(strategy)
    return role


@st.composite
def specs(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A valid app and the MindCluster release of its platform."""
    hardware = draw(st.sampled_from(builtin_names()))
    profile = builtin_profile(hardware)
    assert profile is not None
    release = draw(st.sampled_from([r for r in RELEASES if float(r) >= float(profile.mindcluster)]))
    app: dict[str, Any] = {
        "apiVersion": "stormc.dev/v1",
        "kind": "App",
        "name": draw(names),
        "model": {"name": draw(st.sampled_from(["m", "qwen3-8B"])), "path": draw(st.sampled_from(["/m/a", "/a b/c"]))},
        "image": "vllm-ascend:v0.12.0rc1",
        "hardware": hardware,
        "prefill": draw(roles(profile.npus, profile.npus)),
    }
    # a rank of prefill sends its KV cache to one of decode, or to several (E705)
    app["decode"] = draw(roles(profile.npus, app["prefill"]["tensorParallel"]))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "namespace": names,
        "port": st.integers(6000, 12000),
        "kvTransfer": st.fixed_dictionaries({"connector": st.sampled_from(["MooncakeConnectorV1"])}),
        "expertParallel": st.booleans(),
        "faults": st.fixed_dictionaries(
            {}, optional={"scheduling": st.sampled_from(["grace", "force", "off"]), "retries": st.integers(0, 100)}
        ),
        "gateway": st.sampled_from(["roles", "router", "off"]),
        "proxy": st.fixed_dictionaries({}, optional={"drainSeconds": st.integers(0, 60), "port": st.just(9000)}),
        "routing": st.fixed_dictionaries({"replicas": st.integers(1, 3)}),
    }
    for field, strategy in optional.items():
        if draw(st.booleans()):
            app[field] = draw(strategy)
    if draw(st.booleans()):
        app["prefill"]["queue"] = app["decode"]["queue"] = "gold"  # roles of one PodGroup have one queue
    return app, release


def text_of(app: dict[str, Any]) -> str:
    return json.dumps(app, ensure_ascii=False)  # YAML with every string quoted


def render(app: dict[str, Any], release: str) -> dict[str, bytes]:
    platform = f'apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "{release}"\n'
    made = repository({"app.yaml": text_of(app), "platform.yaml": platform})
    outcome = compile_in(made)
    assert outcome.files is not None, outcome.findings
    return dict(outcome.files)
