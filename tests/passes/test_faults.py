from __future__ import annotations

import pytest

from tests.samples import pod, storm

RECOVER = "huawei.com/recover_policy_path"

POLICIES = [
    ("{}", {"fault-scheduling": "force", "fault-retry-times": "10", "subHealthyStrategy": "ignore"}, "Never", None),
    ("faults: {scheduling: 'off'}", {"fault-scheduling": "off", "subHealthyStrategy": "ignore"}, None, None),
    ("faults: {retries: 0}", {"fault-scheduling": "force", "subHealthyStrategy": "ignore"}, None, None),
    ("faults: {scheduling: grace, gracePeriodSeconds: 600, subHealthy: graceExit, retries: 3}",
     {"fault-scheduling": "grace", "fault-retry-times": "3", "subHealthyStrategy": "graceExit"}, "Never", 600),
    ("faults: {scheduling: force, gracePeriodSeconds: 600}",
     {"fault-scheduling": "force", "fault-retry-times": "10", "subHealthyStrategy": "ignore"}, "Never", None),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "labels", "restart", "grace"), POLICIES)
def test_fault_labels_follow_from_the_policy(
    overlay: str, labels: dict[str, str], restart: str | None, grace: int | None
) -> None:
    template = pod(storm(overlay), "decode")
    present = {k: v for k, v in template["metadata"]["labels"].items() if not k.startswith("model.aibrix.ai/")}
    assert present == labels
    assert template["spec"].get("restartPolicy") == restart
    assert template["spec"].get("terminationGracePeriodSeconds") == grace


@pytest.mark.parametrize("policy", ["force", "grace", "off"])
def test_pod_level_recovery_exactly_in_the_shared_pod_group(policy: str) -> None:
    service = storm(f"faults: {{scheduling: '{policy}'}}")
    shared, own = pod(service, "prefill")["metadata"], pod(service, "decode")["metadata"]
    assert (shared["labels"]["pod-rescheduling"], shared["annotations"][RECOVER]) == ("on", "pod")
    assert "pod-rescheduling" not in own["labels"]
    assert RECOVER not in own["annotations"]


def test_routing_pods_are_left_alone() -> None:
    template = pod(storm("faults: {scheduling: grace, gracePeriodSeconds: 600}"), "routing")
    assert "metadata" not in template
    assert "restartPolicy" not in template["spec"]
