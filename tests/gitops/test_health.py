"""Lua and CEL of the same rows, run as the engines run them, on the same status objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormc.gitops.health import STORM_SERVICE, cel
from tests.gitops.engines import KINDS, holds, in_argocd, in_flux
from tests.gitops.samples import RECORDED


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_both_engines_tell_the_truth(case: dict[str, Any]) -> None:
    health = KINDS[case["kind"]]
    assert in_argocd(health, case["object"]) == tuple(case["argocd"])
    assert in_flux(health, case["object"]) == case["flux"]


def test_every_answer_of_the_rows_is_among_the_recorded_ones() -> None:
    for health in KINDS.values():
        told = {(case["argocd"][0], case["flux"]) for case in RECORDED if case["kind"] == health.kind}
        assert told == {(row.argocd, row.flux) for row in health.rows}
    assert sum(case["kind"] == "StormService" for case in RECORDED) >= 12


def test_flux_needs_no_help_of_its_own_generation_check() -> None:
    for case in RECORDED:
        if "generation before" in case["name"]:
            for answer in ("failed", "current"):
                assert not holds(cel(STORM_SERVICE, answer), case["object"]), case["name"]


condition = st.fixed_dictionaries({
    "type": st.sampled_from(["Ready", "Progressing", "ReplicaFailure"]), "status": st.sampled_from(["True", "False"]),
})  # fmt: skip
revision = st.sampled_from(["a", "b"])
status = st.fixed_dictionaries({}, optional={
    "observedGeneration": st.integers(1, 2),
    "readyReplicas": st.integers(0, 2),
    "currentRevision": revision,
    "updateRevision": revision,
    "conditions": st.lists(condition, max_size=2),
})  # fmt: skip
live = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries({"generation": st.integers(1, 2)}),
        "spec": st.fixed_dictionaries({"replicas": st.integers(0, 2)}, optional={"paused": st.booleans()}),
    },
    optional={"status": status},
)
TOGETHER = {("Healthy", "current"), ("Degraded", "failed"), ("Progressing", "inProgress"), ("Suspended", "current"),
            ("Suspended", "inProgress")}  # fmt: skip


@given(live)
def test_the_engines_agree_on_any_status(found: dict[str, Any]) -> None:
    argocd, flux = in_argocd(STORM_SERVICE, found)[0], in_flux(STORM_SERVICE, found)
    assert (argocd, flux) in TOGETHER


@given(live)
def test_healthy_means_ready_in_this_generation_and_revision(found: dict[str, Any]) -> None:
    told = found.get("status", {})
    if in_argocd(STORM_SERVICE, found)[0] == "Healthy":
        assert told["observedGeneration"] == found["metadata"]["generation"]
        assert told.get("currentRevision") == told.get("updateRevision")
        assert {"type": "Ready", "status": "True"} in told["conditions"]
