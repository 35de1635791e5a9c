"""Volcano's own controller and scheduler, without MindCluster's plugin: the PodGroups that stormc counts with, and what
becomes of a gang that does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stormc.cluster.kinds import NODE, POD_GROUP
from stormc.facts.keys import Label
from stormc.review.gangs import gangs
from tests.e2e.conftest import CACHE, binary
from tests.e2e.live.aibrix import objects
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.kubelet import Pod, label

NAME = "qwen3-moe"
VOLCANO = "volcano-controller"
SCHEDULER = "volcano-scheduler"
SCHEDULING = """\
actions: "enqueue, allocate"
tiers:
- plugins: [{name: priority}, {name: gang}]
- plugins: [{name: predicates}, {name: proportion}, {name: nodeorder}]
"""
NPU = "huawei.com/Ascend910"
MEMBER = "scheduling.k8s.io/group-name"


@pytest.fixture(scope="module")
def volcano(live: LiveCluster) -> Iterator[str]:
    """Volcano's definitions and its controller beside AIBrix, for the tests of this file; the name of the program."""
    program = binary(VOLCANO)
    assert program
    for kind, manifest in objects(CACHE / "volcano.yaml"):
        if manifest["kind"] == "CustomResourceDefinition":
            live.cluster.apply(kind, None, manifest, dry_run=False, force=True)
    eventually(lambda: live.cluster.find(POD_GROUP, "default") is not None, "PodGroups are not served")
    live.namespace("volcano-system")
    command = (program, f"--kubeconfig={live.plane.kubeconfig}", "--leader-elect=false", "--controllers=pg-controller")
    live.plane.start(VOLCANO, command)
    yield program
    live.plane.stop(VOLCANO)


def test_every_gang_is_a_pod_group_of_its_own(live: LiveCluster, volcano: str) -> None:
    overlay = "{prefill: {replicas: 3}, decode: {replicas: 2}}"
    namespace = live.namespace("gangs")
    manifests = shaped(overlay, live.platform_release, namespace)
    live.apply(manifests)
    live.until_ready(namespace, NAME)
    told = Counter(len(gang.pods) for gang in gangs(NAME, manifests))
    assert told == Counter({3: 1, 2: 2})

    def grouped() -> bool:
        pods = [pod for pod in live.kubelet.pods(namespace, NAME) if pod["spec"].get("schedulerName") == "volcano"]
        return bool(pods) and all(group_of(pod) for pod in pods)

    eventually(grouped, "pods are in no PodGroup")
    pods = live.kubelet.pods(namespace, NAME)
    assert Counter(Counter(group_of(pod) for pod in pods if group_of(pod)).values()) == told
    assert not [pod for pod in pods if label(pod, Label.ROLE) == "routing" and group_of(pod)]
    groups = {g["metadata"]["name"]: g for g in live.cluster.find(POD_GROUP, namespace) or ()}
    named = {group_of(pod) for pod in pods} - {""}
    assert named <= groups.keys()
    # Plain Volcano asks for one pod; the gang is what MindCluster's plugin makes of the annotation of the pods.
    assert {groups[name]["spec"]["minMember"] for name in named} == {1}
    assert {owner(groups[name]) for name in named} == {"RoleSet", "PodSet"}
    live.remove(namespace, NAME)
    eventually(lambda: not live.cluster.find(POD_GROUP, namespace), "PodGroups stay")


@pytest.fixture
def scheduler(live: LiveCluster, volcano: str, tmp_path: Path) -> Iterator[None]:
    """Volcano's scheduler, which binds the pods that ask for it."""
    program = binary(SCHEDULER)
    assert program
    (tmp_path / "scheduler.conf").write_text(SCHEDULING)
    live.kubelet.schedules = lambda pod: pod["spec"].get("schedulerName") != "volcano"
    live.plane.start(SCHEDULER, (
        program, f"--kubeconfig={live.plane.kubeconfig}", f"--scheduler-conf={tmp_path}/scheduler.conf",
        "--leader-elect=false", "--listen-address=127.0.0.1:0", "--healthz-address=127.0.0.1:0",
    ))  # fmt: skip
    yield
    live.plane.stop(SCHEDULER)
    live.kubelet.schedules = lambda pod: True


def nodes(live: LiveCluster, count: int, labels: Mapping[str, str]) -> Iterator[str]:
    """So many nodes with the NPUs of one pod each."""
    for number in range(count):
        name = f"npu-{number}"
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels)}}
        live.plane.request("POST", "/api/v1/nodes", body)
        resources = {NPU: "16", "cpu": "1000", "memory": "10Ti", "pods": "100"}
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        status = {"status": {"capacity": resources, "allocatable": resources, "conditions": conditions}}
        live.plane.request("PATCH", f"/api/v1/nodes/{name}/status", status, "application/merge-patch+json")
        yield name


@pytest.mark.parametrize(("count", "asked"), [(4, "as AIBrix asks"), (3, "as AIBrix asks"), (3, "whole gangs")])
def test_a_gang_is_bound_whole_only_where_its_group_asks_for_it(
    live: LiveCluster, scheduler: None, count: int, asked: str
) -> None:
    namespace = live.namespace(f"binding-{count}-{asked.replace(' ', '-').lower()}")
    manifests = shaped("{}", live.platform_release, namespace)
    live.apply(manifests)
    eventually(lambda: len([pod for pod in live.kubelet.pods(namespace) if group_of(pod)]) == 4, "not four pods")
    pods = [pod for pod in live.kubelet.pods(namespace) if group_of(pod)]
    sizes = Counter(group_of(pod) for pod in pods)
    if asked == "whole gangs":  # what MindCluster's plugin makes of the annotation
        for name, size in sizes.items():
            path = POD_GROUP.path(namespace, name)
            live.plane.request("PATCH", path, {"spec": {"minMember": size}}, "application/merge-patch+json")
    selector = pods[0]["spec"].get("nodeSelector", {})
    made = list(nodes(live, count, selector))
    try:
        want = {(4, "as AIBrix asks"): 4, (3, "as AIBrix asks"): 3, (3, "whole gangs"): 2}[count, asked]
        eventually(lambda: len(bound(live, namespace)) == want, lambda: f"{len(bound(live, namespace))} pods are bound")
        parts = Counter(group_of(pod) for pod in bound(live, namespace))
        torn = [name for name, size in sizes.items() if 0 < parts[name] < size]
        assert bool(torn) is (count == 3 and asked == "as AIBrix asks"), parts
    finally:
        live.remove(namespace, NAME)
        for name in made:
            live.cluster.delete(NODE, "", name)


def bound(live: LiveCluster, namespace: str) -> list[Pod]:
    """The pods of a gang that have a node."""
    return [pod for pod in live.kubelet.pods(namespace) if group_of(pod) and pod["spec"].get("nodeName")]


def group_of(pod: Pod) -> str:
    """The PodGroup that a pod is in."""
    return str((pod["metadata"].get("annotations") or {}).get(MEMBER, ""))


def owner(found: Mapping[str, Any]) -> str:
    """The kind of a PodGroup's owner."""
    return str(found["metadata"]["ownerReferences"][0]["kind"])
