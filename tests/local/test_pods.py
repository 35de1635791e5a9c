"""The pods that run-local makes of a StormService, against the facts of AIBrix; tests/e2e/live has real ones."""

from __future__ import annotations

from typing import Any

import pytest

from stormc.load.releases import aibrix
from stormc.local.pods import Replacer, environment, expand, pods_of, selected, selector_problems
from tests.samples import compiled, storm


def pods(overlay: str = "{}", release: str = "v0.5.0") -> dict[str, Any]:
    return {pod.short: pod for pod in pods_of(storm(overlay), "qwen3-moe-roleset-abcde", aibrix(release))}


def test_pods_have_the_names_and_indices_that_aibrix_gives() -> None:
    found = pods("decode: {replicas: 2}")
    assert list(found) == [
        "prefill-0", "prefill-1", "decode-0-0", "decode-0-1", "decode-1-0", "decode-1-1", "routing-0",
    ]  # fmt: skip
    head = found["decode-1-0"]
    hashed = head.labels["role-template-hash"]
    assert head.name == f"qwen3-moe-roleset-abcde-decode-{hashed}-1-0"
    assert found["prefill-1"].name.endswith("-1")
    assert len({pod.name for pod in found.values()}) == len(found)


def test_labels_that_services_select_by() -> None:
    found = pods()
    prefix = "stormservice.orchestration.aibrix.ai/"
    assert found["prefill-1"].labels[f"{prefix}role-replica-index"] == "1"
    assert f"{prefix}pod-group-index" not in found["prefill-1"].labels
    assert found["decode-0-1"].labels[f"{prefix}pod-group-index"] == "1"
    assert found["decode-0-1"].labels["fault-scheduling"] == "force"


def test_only_pods_of_a_group_know_their_group() -> None:
    found = pods()
    single, second = environment(found["prefill-0"], "10.0.0.1"), environment(found["decode-0-1"], "10.0.0.3")
    assert {"PODSET_NAME", "POD_GROUP_INDEX", "POD_GROUP_SIZE"}.isdisjoint(single)
    assert (second["POD_GROUP_INDEX"], second["POD_GROUP_SIZE"]) == ("1", "2")
    assert found["decode-0-1"].name == f"{second['PODSET_NAME']}-1"
    assert list(second)[-3:] == ["PODSET_NAME", "POD_GROUP_INDEX", "POD_GROUP_SIZE"]
    known = {"STORM_SERVICE_NAME": "qwen3-moe", "ROLE_NAME": "prefill", "ROLE_REPLICA_INDEX": "0"}
    assert known.items() <= single.items()
    assert single["POD_IP"] == single["HCCL_IF_IP"] == "10.0.0.1"
    assert single["ASCEND_VISIBLE_DEVICES"].split(",")[15] == "Ascend910-15"


def test_references_resolve_to_earlier_names_only() -> None:
    env = environment(pods('decode: {env: {A: "$(B)", B: b, C: "$(B)"}}')["decode-0-0"], "10.0.0.1")
    assert (env["A"], env["C"]) == ("$(B)", "b")


def test_what_later_releases_do_otherwise() -> None:
    """Watched on v0.6.0 and v0.7.0; the annotations are those of all, the empty number of the RoleSet is v0.5.0's."""
    prefix = "stormservice.orchestration.aibrix.ai/"
    overlay = "decode: {env: {A: a, Z: z}}"
    for release, index in (("v0.5.0", ""), ("v0.6.0", "0"), ("v0.7.0", "0")):
        found = pods(overlay, release)
        single, member = found["prefill-1"], found["decode-0-1"]
        assert (single.annotations[f"{prefix}roleset-index"], dict(single.injected)["ROLESET_INDEX"]) == (index, index)
        assert member.annotations[f"{prefix}role-replica-index"] == "0"
        assert (f"{prefix}role-revision" in single.labels) == (release != "v0.5.0")
        assert f"{prefix}role-revision" not in member.labels
        assert len(single.labels["role-template-hash"]) == (10 if release == "v0.5.0" else 6)
        names = list(environment(member, "10.0.0.3"))
        if release == "v0.7.0":
            assert names[:4] == ["PODSET_NAME", "POD_GROUP_INDEX", "POD_GROUP_SIZE", "STORM_SERVICE_NAME"]
            assert names.index("ROLE_NAME") < names.index("A") < names.index("Z")
        else:
            assert names[:-3] == sorted(names[:-3]) and names[-3:] == [
                "PODSET_NAME",
                "POD_GROUP_INDEX",
                "POD_GROUP_SIZE",
            ]


@pytest.mark.parametrize(
    ("overlay", "single", "member"),
    [
        ("{}", Replacer.AIBRIX, Replacer.MINDCLUSTER),
        ("faults: {retries: 0}", Replacer.KUBELET, Replacer.KUBELET),
        (
            "overrides: [{target: StormService, reason: r, owner: o, patch: {spec: {template: {spec: {roles: "
            "[{name: decode, template: {metadata: {labels: {fault-scheduling: 'off'}}}}]}}}}}]",
            Replacer.AIBRIX, Replacer.NOBODY,
        ),
    ],
)  # fmt: skip
def test_who_brings_a_failed_pod_back(overlay: str, single: Replacer, member: Replacer) -> None:
    found = pods(overlay)
    assert (found["prefill-0"].replacer, found["decode-0-0"].replacer) == (single, member)


@pytest.mark.parametrize(
    ("text", "expected"), [("$(A)-$(A)", "1-1"), ("$$(A)", "$(A)"), ("$(NO)", "$(NO)"), ("$A ${A}", "$A ${A}")]
)
def test_expansion_is_that_of_kubernetes(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_every_service_selects_what_it_should() -> None:
    made = compiled("decode: {replicas: 3}").manifests
    services = [m for m in made if m["kind"] == "Service"]
    found = list(pods("decode: {replicas: 3}").values())
    assert selector_problems(services, found) == []
    by_name = {m["metadata"]["name"]: selected(m, found) for m in services}
    assert [pod.short for pod in by_name["qwen3-moe-decode-2-1"]] == ["decode-2-1"]
    assert [pod.short for pod in by_name["qwen3-moe-router"]] == ["routing-0"]


def test_a_service_that_leads_to_no_pod_or_several_is_a_problem() -> None:
    services = [m for m in compiled().manifests if m["kind"] == "Service"]
    found = list(pods().values())
    fewer = [pod for pod in found if pod.short != "decode-0-1"]
    assert selector_problems(services, fewer) == ["Service qwen3-moe-decode-0-1 selects 0 pods"]
    twins = [*found, found[0]._replace(short="twin")]
    assert selector_problems(services, twins) == ["Service qwen3-moe-prefill-0 selects 2 pods"]
