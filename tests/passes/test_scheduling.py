from __future__ import annotations

import pytest

from tests.samples import pod, storm

MIN = "huawei.com/schedule_minAvailable"

GANGS = [
    # MindCluster guide: P size 1 × 1, D size 2 → 1 and 2
    ("prefill: {replicas: 1}", "1", "2"),
    ("prefill: {replicas: 2}", "2", "2"),
    ("{prefill: {replicas: 3}, decode: {podGroupSize: 1, replicas: 2, dataParallel: 16}}", "5", "5"),
    ("{prefill: {podGroupSize: 2, replicas: 4}, decode: {podGroupSize: 8, dataParallel: 128}}", "2", "8"),
    ("{prefill: {podGroupSize: 2}, decode: {podGroupSize: 1, replicas: 3, dataParallel: 16}}", "2", "3"),
    ("prefill: {minAvailable: 1}", "1", "2"),
]


@pytest.mark.parametrize(("overlay", "prefill", "decode"), GANGS)
def test_the_gang_is_every_pod_of_the_pod_group(overlay: str, prefill: str, decode: str) -> None:
    service = storm(overlay)
    assert pod(service, "prefill")["metadata"]["annotations"][MIN] == prefill
    assert pod(service, "decode")["metadata"]["annotations"][MIN] == decode


def test_volcano_on_npu_roles_only() -> None:
    service = storm()
    assert pod(service, "prefill")["spec"]["schedulerName"] == "volcano"
    assert pod(service, "decode")["spec"]["schedulerName"] == "volcano"
    assert "schedulerName" not in pod(service, "routing")["spec"]


def test_blocks_and_queues_where_given() -> None:
    service = storm("{prefill: {spBlock: 16, queue: gold}}")
    annotations = pod(service, "prefill")["metadata"]["annotations"]
    assert (annotations["sp-block"], annotations["scheduling.volcano.sh/queue-name"]) == ("16", "gold")
    assert not {"sp-block", "scheduling.volcano.sh/queue-name"} & set(pod(service, "decode")["metadata"]["annotations"])
