"""What Volcano does to the pods of a faulty instance.

Roles of podGroupSize 1 share one PodGroup, so recovery must stop at the pod: with pod-rescheduling but without
recover_policy_path the fault of one chip deletes every instance. In a larger instance the peers of a lost pod hold a
dead communication group, so there the whole PodGroup restarts and neither key may be set (MindCluster guide, chapter
instance rescheduling; ascend-for-volcano rescheduling/job.go:409-454).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.passes.because import ROLE, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import pod_path, role_path

GUIDE = "MindCluster guide, chapter instance rescheduling"
STOP_AT_THE_POD = fact("mindcluster", f"{GUIDE}; rescheduling/job.go", exists_if=((ROLE, "podGroupSize"),))
RETRIED = (("faults", "retries"), ("faults", "scheduling"))
REASONS = {
    Label.FAULT_SCHEDULING: of(("faults", "scheduling")),
    Label.SUB_HEALTHY_STRATEGY: of(("faults", "subHealthy")),
    Label.POD_RESCHEDULING: STOP_AT_THE_POD,
    Label.FAULT_RETRY_TIMES: of(("faults", "retries"), exists_if=(("faults", "scheduling"),)),
}
NEVER = fact("mindcluster", "MindCluster guide: a container that restarts by itself hides the fault", exists_if=RETRIED)
GRACE = of(("faults", "gracePeriodSeconds"), exists_if=(("faults", "scheduling"),))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Fault labels, the recovery annotation, restartPolicy and grace period of both serving roles."""
    for role in app.serving_roles:
        yield from _role(app, role)


def _role(app: App, role: Role) -> Iterator[Edit]:
    service, policy = storm(app), app.faults
    labels = {Label.FAULT_SCHEDULING: policy.scheduling, Label.SUB_HEALTHY_STRATEGY: policy.sub_healthy}
    if role.shares_pod_group:
        labels[Label.POD_RESCHEDULING] = "on"
        path = role_path(role.name, "template", "metadata", "annotations", Annotation.RECOVER_POLICY_PATH)
        yield Edit(service, path, "pod", STOP_AT_THE_POD)
    if policy.retries and policy.scheduling != "off":
        labels[Label.FAULT_RETRY_TIMES] = str(policy.retries)
        # MindCluster guide, parameter table: a container that restarts by itself hides the fault from Volcano.
        yield Edit(service, pod_path(role.name, "restartPolicy"), "Never", NEVER)
    for key, value in labels.items():
        yield Edit(service, role_path(role.name, "template", "metadata", "labels", key), value, REASONS[key])
    if policy.scheduling == "grace" and policy.grace_period_seconds:
        path = pod_path(role.name, "terminationGracePeriodSeconds")
        yield Edit(service, path, policy.grace_period_seconds, GRACE)
