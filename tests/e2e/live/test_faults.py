"""What becomes of pods that fail and of nodes that are lost, in each shape, and of pods when AIBrix is upgraded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stormc.cluster.kinds import NODE, POD, STORM_SERVICE
from stormc.facts.keys import Label
from stormc.load.releases import aibrix
from stormc.local.pods import Replacer, pods_of
from stormc.review.effect import What, effect
from tests.e2e.live.aibrix import releases
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.kubelet import Pod as LivePod
from tests.e2e.live.kubelet import ends, label

NAME = "qwen3-moe"


@pytest.fixture
def namespace(live: LiveCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The app of the README, ready in a namespace of its own: single pods of prefill, pods of decode in groups."""
    name = f"faults-{request.node.name.partition('[')[0].replace('_', '-')[5:50].strip('-')}"
    live.namespace(name)
    live.apply(shaped("{}", live.platform_release, name))
    live.until_ready(name, NAME)
    yield name
    live.remove(name, NAME)


OLDER = [release for release in releases() if release.version < max(each.version for each in releases())]


def uid(pod: LivePod) -> str:
    """What tells a pod from the one that takes its name."""
    return str(pod["metadata"]["uid"])


def reconciled(live: LiveCluster, namespace: str) -> None:
    """Makes AIBrix look at the app once more, and waits until it has."""
    path = STORM_SERVICE.path(namespace, NAME)
    spec = {"spec": {"revisionHistoryLimit": 9}}
    written = live.plane.request("PATCH", path, spec, "application/merge-patch+json")
    generation = written["metadata"]["generation"]

    def seen() -> bool:
        service = live.cluster.get(STORM_SERVICE, namespace, NAME) or {}
        return bool(service.get("status", {}).get("observedGeneration", 0) >= generation)

    eventually(seen, "AIBrix does not look at the app")


def test_a_failed_pod_is_replaced_by_whom_run_local_says(live: LiveCluster, namespace: str) -> None:
    storm = next(m for m in shaped("{}", live.platform_release, namespace) if m["kind"] == "StormService")
    played = {pod.short: pod.replacer for pod in pods_of(storm, "any", aibrix(live.platform_release))}
    assert (played["decode-0-0"], played["prefill-0"]) == (Replacer.MINDCLUSTER, Replacer.AIBRIX)
    member, single = live.kubelet.pods(namespace, NAME, "decode")[0], live.kubelet.pods(namespace, NAME, "prefill")[0]
    live.kubelet.fail(member)
    live.kubelet.fail(single)
    # AIBrix replaces the pod of its own; it sees the member of the group as well, and leaves it as it is.
    eventually(lambda: uid(single) not in live.uids(namespace, NAME), "the failed pod of its own is not replaced")
    reconciled(live, namespace)
    assert uid(member) in live.uids(namespace, NAME)
    assert "decode 0/1" in live.problem(namespace, NAME)
    # Whoever deletes it, as MindCluster's rescheduling does, makes AIBrix create it anew.
    live.cluster.delete(POD, namespace, member["metadata"]["name"])
    live.until_ready(namespace, NAME)
    assert uid(member) not in live.uids(namespace, NAME)


def test_pods_of_a_lost_node_come_back_once_the_node_is_gone(live: LiveCluster, namespace: str) -> None:
    pods = live.kubelet.pods(namespace, NAME)
    node = next(pod["spec"]["nodeName"] for pod in pods if label(pod, Label.ROLE) == "decode")
    there = {uid(pod) for pod in pods if pod["spec"]["nodeName"] == node}
    others = {uid(pod) for pod in pods} - there
    live.kubelet.lose(node)
    try:
        eventually(lambda: live.problem(namespace, NAME), lambda: f"nobody notices the loss: {lost(live, node, there)}")
        # Kubernetes asks for the deletion of the pods, and nobody confirms it: their names stay taken.
        eventually(lambda: not there & live.uids(namespace, NAME), "pods of the lost node are not asked to end")
        assert live.problem(namespace, NAME)
        live.cluster.delete(NODE, "", node)
        live.until_ready(namespace, NAME)
        now = live.uids(namespace, NAME)
        assert len(now) == len(pods) and others <= now and not there & now
    finally:
        live.kubelet.restore(node)


def lost(live: LiveCluster, node: str, pods: set[str]) -> str:
    """A node that is lost, and those of its pods that do not end, for people who look for the reason."""
    found = live.plane.request("GET", NODE.path(None, node))
    stay = [pod["metadata"]["name"] for pod in live.kubelet.all_pods() if uid(pod) in pods and not ends(pod)]
    return f"taints {found['spec'].get('taints')}, status {found['status'].get('conditions')}, pods that stay {stay}"


@pytest.mark.parametrize("live", OLDER, indirect=True, ids=lambda release: release.label)
def test_an_upgrade_of_aibrix_does_what_diff_says(live: LiveCluster, namespace: str) -> None:
    newer = [release for release in releases() if release.version > live.release.version]
    target = min(newer, key=lambda release: release.version)
    manifests = shaped("{}", live.platform_release, namespace)
    said = effect(manifests, manifests, (live.release.facts, target.facts))
    before = live.uids(namespace, NAME)
    try:
        live.aibrix.run(target)
        reconciled(live, namespace)
        live.until_ready(namespace, NAME)
        if said.worst is What.NOTHING:
            assert live.uids(namespace, NAME) == before
        else:
            eventually(lambda: not before & live.uids(namespace, NAME), "pods of the older release stay")
        live.apply(shaped("decode: {replicas: 2}", live.platform_release, namespace))
        live.until_ready(namespace, NAME)
        assert len(live.kubelet.pods(namespace, NAME, "decode")) == 4
    finally:
        live.aibrix.run(live.release)
