"""Labels, annotations, selectors and env that a pass or a controller writes are not the user's to set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.rules.rule import Example, Rule, Violation
from compiler.spec.app import App, Pods
from compiler.spec.profile import Platform

# key → the spec field that sets it; an empty one means that a controller does.
LABELS: Mapping[str, str] = {
    "fault-scheduling": "faults.scheduling",
    "fault-retry-times": "faults.retries",
    "subHealthyStrategy": "faults.subHealthy",
    "pod-rescheduling": "podGroupSize",
    "model.aibrix.ai/name": "gateway",
    "model.aibrix.ai/port": "gateway",
    "model.aibrix.ai/engine": "gateway",
    # AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47
    "storm-service-name": "",
    "storm-service-revision": "",
    "roleset-name": "",
    "role-name": "",
    "role-template-hash": "",
    "stormservice.orchestration.aibrix.ai/role-replica-index": "",
    "stormservice.orchestration.aibrix.ai/roleset-index": "",
    "stormservice.orchestration.aibrix.ai/pod-group-index": "",
    "stormservice.orchestration.aibrix.ai/podset-name": "",
}
ANNOTATIONS: Mapping[str, str] = {
    "huawei.com/schedule_minAvailable": "minAvailable",
    "huawei.com/schedule_policy": "hardware",
    "huawei.com/recover_policy_path": "podGroupSize",
    "sp-block": "spBlock",
    "scheduling.volcano.sh/queue-name": "queue",
    "stormservice.orchestration.aibrix.ai/role-replica-index": "",
    "stormservice.orchestration.aibrix.ai/roleset-index": "",
}
NODE_SELECTOR: Mapping[str, str] = {"accelerator-type": "hardware", "host-arch": "hostArch"}
ENV: Mapping[str, str] = {
    "ASCEND_VISIBLE_DEVICES": "npus",
    "POD_IP": "",
    # AIBrix v0.5.0 pkg/controller/roleset/utils.go and podset_controller.go
    "STORM_SERVICE_NAME": "",
    "ROLESET_NAME": "",
    "ROLESET_INDEX": "",
    "ROLE_NAME": "",
    "ROLE_TEMPLATE_HASH": "",
    "ROLE_REPLICA_INDEX": "",
    "PODSET_NAME": "",
    "POD_GROUP_INDEX": "",
    "POD_GROUP_SIZE": "",
}


def check_owned_keys(app: App, platform: Platform) -> Iterator[Violation]:
    """Keys that stormc or a controller writes are set through the spec field that owns them.

    A second value for such a key either loses without a word or breaks what reads it: a gang size that contradicts the
    replicas leaves the PodGroup Pending, a role-name of one's own cuts the pod off from its Service.
    """
    for role in (*app.serving_roles, app.routing):
        for field, values, owned in _tables(role):
            for key in values:
                if key in owned:
                    owner = owned[key]
                    hint = f"use {owner}" if owner else "remove it"
                    who = "stormc" if owner or key == "POD_IP" else "AIBrix"
                    path = (role.name, field, key)
                    yield Violation(path, f"{role.name}.{field}.{key} is set by {who}", hint, at_key=True)


def _tables(role: Pods) -> tuple[tuple[str, Mapping[str, str], Mapping[str, str]], ...]:
    return (
        ("labels", role.labels, LABELS),
        ("annotations", role.annotations, ANNOTATIONS),
        ("nodeSelector", role.node_selector, NODE_SELECTOR),
        ("env", role.env, ENV),
    )


RULES = (
    Rule(
        "E033", check_owned_keys, "MindCluster guide, parameter table; AIBrix v0.5.0 constants/stormservice.go:19-47",
        bad=(
            Example('decode: {annotations: {huawei.com/schedule_minAvailable: "3"}}',
                    "decode.annotations.huawei.com/schedule_minAvailable"),
            Example('prefill: {env: {POD_GROUP_INDEX: "0"}}', "prefill.env.POD_GROUP_INDEX"),
            Example("prefill: {labels: {role-name: p}}", "prefill.labels.role-name"),
            Example("routing: {nodeSelector: {accelerator-type: card}}", "routing.nodeSelector.accelerator-type"),
        ),
        good=(Example("decode: {env: {HCCL_BUFFSIZE: 600}, labels: {team: search}, nodeSelector: {zone: a}}"),),
    ),
)  # fmt: skip
