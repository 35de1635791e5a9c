"""Judgements of the cluster room on recorded and damaged answers; no API server is asked."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stormc.__main__ import main
from stormc.cluster.apply import differences
from stormc.cluster.connection import problem
from stormc.cluster.drift import differing_places
from stormc.cluster.kinds import POD, STORM_SERVICE
from stormc.cluster.owner import engine
from stormc.cluster.preflight import Observed, checks, platform_file
from stormc.cluster.status import AppObjects, build_status, instances
from stormc.cluster.status_report import age, as_text
from stormc.cluster.wait import reason_to_remain, unready
from stormc.payload.read import read_payload
from stormc.repository.profiles import builtin_names, builtin_profile
from stormc.text.format import formatted
from tests.samples import repository

PROFILES = [profile for name in builtin_names() if (profile := builtin_profile(name))]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = [{"type": "Ready", "status": "True"}]


def service(generation: int = 2, observed: int = 2, conditions: list[Any] = READY) -> dict[str, Any]:
    roles = [{"name": "prefill", "replicas": 2}]
    return {
        "kind": "StormService", "metadata": {"name": "a", "generation": generation},
        "spec": {"replicas": 1, "template": {"spec": {"roles": roles}}},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }  # fmt: skip


def role_set(ready: int, failure: str = "") -> dict[str, Any]:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": failure}] if failure else []
    roles = [{"name": "prefill", "replicas": 2, "readyReplicas": 2, "updatedReadyReplicas": ready}]
    metadata = {"name": "a-roleset-x", "uid": "1"}
    return {"kind": "RoleSet", "metadata": metadata, "status": {"roles": roles, "conditions": conditions}}


@pytest.mark.parametrize(
    ("live", "role_sets", "reason"),
    [
        (service(), [role_set(2)], ""),
        (None, [], "does not exist"),
        ({**service(), "status": None}, [], "has not seen"),
        (service(observed=1), [role_set(2)], "has not seen"),
        (service(), [], "prefill 0/2"),
        (service(), [role_set(1)], "prefill 1/2"),  # Ready from the old status, one pod not updated yet
        (service(conditions=[]), [role_set(2)], "StormService is not yet"),
        (service(), [role_set(2, "quota")], "quota"),
        (service(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "m"}]), [role_set(2)], "m"),
    ],
)
def test_ready_is_more_than_the_condition(live: Any, role_sets: list[Any], reason: str) -> None:
    said = unready(live, role_sets)
    assert (reason in said) if reason else said == ""


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (401, {"message": "Unauthorized"}, "token may have expired"),
        (403, {"message": "x cannot list y", "reason": "Forbidden"}, "not allowed to list stormservices.orchestration"),
        (404, {"message": "404 page not found"}, "the cluster has no stormservices.orchestration.aibrix.ai"),
        (404, {"message": "namespaces \"x\" not found", "details": {"kind": "namespaces"}}, "--create-namespace"),
        (404, {"message": "the server could not find the requested resource", "details": {}}, "the cluster has no"),
        (409, {"message": "Apply failed with 1 conflict", "reason": "Conflict"}, "--force"),
        (409, {"message": "\"x\" already exists", "reason": "AlreadyExists"}, "already exists"),
        (422, {"message": "spec.x:\n  invalid"}, "spec.x: invalid"),
        (500, {}, "HTTP 500"),
    ],
)  # fmt: skip
def test_answers_become_one_line(status: int, answer: dict[str, Any], said: str) -> None:
    text = problem(status, answer, "list", STORM_SERVICE, "default")
    assert said in text and "\n" not in text


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({}, None),
        ({"labels": None, "annotations": None}, None),
        ({"annotations": {"argocd.argoproj.io/sync-options": "Prune=confirm"}}, None),  # our own guard
        ({"annotations": {"argocd.argoproj.io/tracking-id": "a"}}, "Argo CD"),
        ({"labels": {"app.kubernetes.io/instance": "a"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "a"}}, "Flux"),
    ],
)
def test_engines_are_known_by_their_marks(metadata: dict[str, Any], name: str | None) -> None:
    assert engine({"metadata": metadata}) == name


def test_changes_go_both_ways_and_drift_only_one() -> None:
    old: dict[str, Any] = {"a": 1, "env": [{"name": "c", "value": "1"}], "l": [{"x": 1}], "e": {}}
    new: dict[str, Any] = {"a": 1, "env": [{"name": "c", "value": "2", "d": 3}], "l": [{"x": 1, "y": 2}], "e": {"f": 1}}
    assert differences("Service", old, new) == ["env[c].value", "l", "e", "env[c].d", "e.f"]
    assert differing_places("Service", old, new) == ["env[c].value"]
    assert differing_places("Service", {"l": [1]}, {"l": [1, 2]}) == ["l"]
    assert differing_places("Service", {"a": {"b": {"c": 1, "d": 2}}}, {"a": {}}) == ["a.b"]
    assert differing_places("Service", {"ports": [{"port": 1}]}, {"ports": [{"port": 1, "protocol": "TCP"}]}) == []
    assert (
        differing_places("Service", {"env": [{"name": "c"}]}, {"env": [{"name": "s"}, {"name": "c", "value": ""}]})
        == []
    )


def container(state: dict[str, Any]) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "p", "state": state}]}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (container({"waiting": {"reason": "ImagePullBackOff", "message": "no"}}), "ImagePullBackOff: no"),
        (container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), "p ended with 137 OOMKilled"),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "gang"}]}, "gang"),
        ({"message": "Pod was rejected"}, "Pod was rejected"),
        ({}, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_pod_says_why_it_is_not_ready(part: Any, said: str) -> None:
    pod = {"kind": "Pod", "metadata": {"name": "p", "labels": {"role-name": "prefill"}}, "status": part}
    app = build_status(AppObjects(service(), [role_set(1)], pods=[pod]), "n", "a", (), NOW)
    assert app.roles[0].pods[0].message == said
    assert said in as_text(app)


def test_the_tree_joins_pod_groups_by_owner_and_pod_sets_with_their_events() -> None:
    pod_set = {"kind": "PodSet", "metadata": {"name": "s", "uid": "2"}, "status": {"readyPods": 1, "totalPods": 2}}
    about = {"kind": "PodSet", "name": "s"}
    events: list[Any] = [
        {"type": "Warning", "involvedObject": about, "message": "old", "lastTimestamp": "2025-01-01T00:00:00Z"},
        {"type": "Warning", "involvedObject": about, "message": "new", "lastTimestamp": "2025-01-02T00:00:00Z"},
    ]
    reason = {"type": "Unschedulable", "status": "True", "message": "JobValidateFailed"}
    groups: list[Any] = [
        {"kind": "PodGroup", "metadata": {"name": f"g{uid}", "ownerReferences": [{"uid": uid}]},
         "status": {"phase": "Pending", "conditions": [reason]}}
        for uid in ("2", "9")
    ]  # fmt: skip
    objects = AppObjects(service(), [role_set(2)], [pod_set], groups, events=events)
    rows = build_status(objects, "n", "a", (), NOW).groups
    assert [(row.object, row.message) for row in rows] == [
        ("RoleSet/a-roleset-x", ""), ("PodSet/s", "new"), ("PodGroup/g2", "JobValidateFailed"),
    ]  # fmt: skip


def test_the_proxys_instances_are_shown() -> None:
    row = {"address": "a-prefill-0:8000", "state": "faulty", "score": None, "active": 1, "failures": 4, "requests": 9}
    app = build_status(AppObjects(), "n", "a", (), NOW)
    shown = as_text(app._replace(instances=instances({"prefill": [row, "x", {}], "decode": "?"})))
    assert "  proxy: prefill a-prefill-0:8000  faulty  1 active  4 failures  9 requests" in shown
    assert instances(None) == instances({"message": "no endpoints"}) == ()


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (45, "45s"), (120, "2m"), (7200, "2h"), (90000, "1d")])
def test_ages_have_their_largest_unit(seconds: int | None, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "nothing has asked"),
        ({"deletionTimestamp": "t", "finalizers": ["f"]}, "finalizers f"),
        ({"deletionTimestamp": "t"}, "node has not confirmed"),
    ],
)
def test_what_hangs_is_explained(metadata: dict[str, Any], said: str) -> None:
    assert said in reason_to_remain({"kind": POD.name, "metadata": metadata})


def workload(name: str, tag: str) -> dict[str, Any]:
    container = {"image": f"registry:5000/x/{name}:{tag}"}
    return {
        "metadata": {"name": name, "namespace": "s"}, "status": {"readyReplicas": 1},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }  # fmt: skip


def test_preflight_of_an_empty_and_of_a_full_cluster() -> None:
    empty = Observed(frozenset(), (), (), (), (), ())
    states = {check.name: check.state for check in checks(empty)}
    assert states["stormservices.orchestration.aibrix.ai"] == states["NPUs"] == states["clusterd"] == "missing"
    assert states["noded"] == "note"
    assert platform_file(empty, PROFILES).count("\n") == 3
    names = ("volcano-scheduler", "volcano-controllers", "ascend-device-plugin-daemonset", "noded")
    nodes = [
        {"metadata": {"name": f"n{i}", "labels": {"accelerator-type": "module-a3-16", "host-arch": "huawei-arm"}},
         "status": {"capacity": {"huawei.com/Ascend910": "16"}}}
        for i in range(3)
    ]  # fmt: skip
    infos = [
        {"metadata": {"name": f"mindx-dl-deviceinfo-n{i}"}, "data": {"DeviceInfoCfg": data}}
        for i, data in enumerate(('{"SuperPodID": 4}', '{"SuperPodID": 4}', "broken"))
    ]
    plural = ("stormservices", "rolesets", "podsets")
    full = Observed(
        frozenset([*(f"{name}.orchestration.aibrix.ai" for name in plural), "podgroups.scheduling.volcano.sh"]),
        (*(workload(name, "v1") for name in names), workload("clusterd", "v26.0.1"),
         workload("aibrix-controller-manager", "v0.6.1")),
        tuple(nodes), (), (), tuple(infos),
    )  # fmt: skip
    assert not [check for check in checks(full) if check.state == "missing"]
    written = platform_file(full, PROFILES)
    assert formatted("platform.yaml", written.encode()) == (written, []), "in canonical form"
    assert written.partition("kind: Platform\n")[2] == (
        'mindcluster: "26.0"\naibrix: v0.6.0\nsuperPodSize: 2\ninventory:\n'
        "  # or atlas-800i-a3-sp, a200t-a3-box8, atlas-800t-a3: they have the same accelerator-type\n"
        "  atlas-800i-a3: {nodes: 3}\n"
    )
    made = repository({"platform.yaml": written})
    assert not made.findings and made.platforms.platform("").inventory == {"atlas-800i-a3": 3}
    odd = full._replace(nodes=({"metadata": {"name": "n"}, "status": {"capacity": {"huawei.com/npu": "4"}}},))
    assert platform_file(odd, PROFILES).endswith("superPodSize: 2\n# 1 nodes of 4 NPUs with no accelerator-type\n")
    unlabelled = full._replace(nodes=({**nodes[0], "metadata": {"name": "bare"}},))
    (labels,) = [check for check in checks(unlabelled) if check.name == "node labels"]
    assert labels.state == "missing" and "kubectl label node bare" in labels.text


@pytest.mark.parametrize(("configs", "state", "said"), [
    (("tiers:\n- plugins:\n  - name: gang\n  - name: volcano-npu_v7.3.0_linux-aarch64\n",), "ok", "volcano-npu_v7.3.0"),
    (("tiers:\n- plugins:\n  - name: gang\n",), "missing", "it binds parts of a gang"),
    ((), "note", "look at the scheduler's plugins"),
])  # fmt: skip
def test_preflight_tells_plain_volcano_from_that_of_mindcluster(
    configs: tuple[str, ...], state: str, said: str
) -> None:
    scheduler = (workload("volcano-scheduler", "v1.10.0"),)
    found = checks(Observed(frozenset(), scheduler, (), (), (), (), configs))
    (check,) = [check for check in found if check.name == "ascend-for-volcano"]
    assert check.state == state and said in check.text
    none = checks(Observed(frozenset(), (), (), (), (), ()))
    assert not [check for check in none if check.name == "ascend-for-volcano"]


@pytest.mark.parametrize(("tag", "args", "state", "said"), [
    ("v1.7.3", ["--feature-gates=CancelHealthCheckOnNewRevision=true"], "ok", "v1.7.3"),
    ("v1.7.3", ["--concurrent=8", "--feature-gates=A=true,CancelHealthCheckOnNewRevision=true"], "ok", "v1.7.3"),
    ("v1.7.3", [], "missing", "add --feature-gates=CancelHealthCheckOnNewRevision=true"),
    ("v1.7.3", ["--feature-gates=CancelHealthCheckOnNewRevision=false"], "missing", "add --feature-gates="),
    ("v1.6.1", ["--feature-gates=CancelHealthCheckOnNewRevision=true"], "missing", "update it to 1.7"),
    ("v1.10.0", ["--feature-gates=CancelHealthCheckOnNewRevision=true"], "ok", "v1.10.0"),
])  # fmt: skip
def test_preflight_knows_what_flux_needs(tag: str, args: list[str], state: str, said: str) -> None:
    containers = [{"image": f"ghcr.io/fluxcd/kustomize-controller:{tag}", "args": args}]
    flux = {"metadata": {"name": "kustomize-controller", "namespace": "flux-system"},
            "spec": {"template": {"spec": {"containers": containers}}}}  # fmt: skip
    found = checks(Observed(frozenset(), (flux,), (), (), (), ()))
    (check,) = [check for check in found if check.name == "kustomize-controller"]
    assert check.state == state and said in check.text
    assert not [check for check in checks(Observed(frozenset(), (), (), (), (), ())) if "kustomize" in check.name]


def test_without_the_client_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert main(["status", "a"]) == 2
    assert "run make cluster in" in capsys.readouterr().err


CONTEXT = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"


@pytest.mark.parametrize(("text", "says"), [
    ("a: [1\n", "no usable kubeconfig: "), ("{a: " * 50_000, "no usable kubeconfig: it is YAML, but no Config"),
    ("[]\n", "no usable kubeconfig: it is YAML, but no Config"),
    (CONTEXT + "clusters: [{name: k, cluster: }]\nusers: []\n", "no usable kubeconfig: "),
    (CONTEXT + 'clusters: [{name: k, cluster: {server: "http://127.0.0.1:1"}}]\n'
     'users: [{name: u, user: {token: "secret\\n"}}]\n', "no usable kubeconfig: the token holds a line break"),
])  # fmt: skip
def test_a_kubeconfig_that_is_none_is_one_line(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    assert main(["status", "a", "--kubeconfig", str(path)]) == 2
    shown = capsys.readouterr().err
    assert says in shown and shown.count("\n") == 1 and "secret" not in shown


def test_a_client_dry_run_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2] / "rendered"
    assert main(["deploy", "my-test", "--rendered", str(root), "--dry-run", "--kubeconfig", "/nonexistent"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("StormService/my-test in default")
    assert main(["deploy", "my-test", "--rendered", str(root), "--dry-run", "-n", "other"]) == 2
    assert main(["deploy", "nobody", "--rendered", str(root), "--dry-run"]) == 2


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("app", ["a3/my-test", "a2/qwen3-8b", "a3/qwen3-moe"])
def test_the_page_lists_the_objects_of_the_examples(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In order; what the server says of them is compared in tests/e2e."""
    assert main(["deploy", app, "--rendered", str(ROOT / "rendered"), "--dry-run"]) == 0
    objects = [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()]
    block = PAGE.partition(f"$ stormc deploy {app} --dry-run=server\n")[2].partition("\n\n")[0]
    listed = [line.strip().removesuffix(": created (dry run)") for line in block.splitlines()]
    assert [name.replace("<version>", read_payload().proxy.version) for name in listed] == objects
