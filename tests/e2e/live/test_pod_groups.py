"""Volcano's own controller makes the PodGroups that stormc counts with; MindCluster's plugin is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stormc.cluster.kinds import POD_GROUP
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


def group_of(pod: Pod) -> str:
    """The PodGroup that a pod is in."""
    return str((pod["metadata"].get("annotations") or {}).get(MEMBER, ""))


def owner(found: Mapping[str, Any]) -> str:
    """The kind of a PodGroup's owner."""
    return str(found["metadata"]["ownerReferences"][0]["kind"])
