"""The keys that MindCluster, Volcano and AIBrix read on a pod: a closed list, because all of them ignore a misspelling.

Sources: mind-cluster component/ascend-for-volcano plugin/job.go:152-235 and common/util/constants.go; AIBrix v0.5.0
pkg/controller/constants/stormservice.go:19-47, pkg/utils/pod.go:332-351; MindCluster docs
06_api/15_yaml_configuration.md and 06_api/12_k8s.md:38-63; vllm-ascend pd_disaggregation_mooncake_multi_node.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import NamedTuple


class Use(Enum):
    """What a user may do with a key."""

    FIELD = "stormc writes it"
    CONTROLLER = "a controller writes it"
    FREE = "users may set it"
    ELSEWHERE = "nobody reads it on a pod"
    FOREIGN = "it belongs to another kind of job"


OWNED = (Use.FIELD, Use.CONTROLLER)


class Key(NamedTuple):
    """A known key. `text` is the spec field of FIELD, the writer of CONTROLLER, the place or reason of the others."""

    use: Use
    text: str = ""


def _each(key: Key, names: str) -> dict[str, Key]:
    return dict.fromkeys(names.split(), key)


FREE = Key(Use.FREE)
AIBRIX = Key(Use.CONTROLLER, "AIBrix")
VOLCANO = Key(Use.CONTROLLER, "the scheduler")
TRAINING = Key(Use.FOREIGN, "it belongs to training jobs, where Ascend Operator sets it")
MINDIE = Key(Use.FOREIGN, "it makes the scheduler take the pods for a MindIE or OME service")
SHARED_CHIP = Key(Use.FOREIGN, "it shares one card between pods, whereas vLLM takes whole NPUs")
POD_GROUP = Key(Use.ELSEWHERE, "it is read on a PodGroup; volcano-controller does not copy it from a pod")
STORM_SERVICE = Key(Use.ELSEWHERE, "it is read on the StormService's metadata")
NOBODY = Key(Use.ELSEWHERE, "no release reads it")
SCHEDULER_CONFIG = Key(Use.ELSEWHERE, "it is a setting of the scheduler's configuration")

_INDEX = "stormservice.orchestration.aibrix.ai"

LABELS: Mapping[str, Key] = {
    "fault-scheduling": Key(Use.FIELD, "faults.scheduling"),
    "fault-retry-times": Key(Use.FIELD, "faults.retries"),
    "subHealthyStrategy": Key(Use.FIELD, "faults.subHealthy"),
    "pod-rescheduling": Key(Use.FIELD, "podGroupSize"),
    **_each(Key(Use.FIELD, "gateway"), "model.aibrix.ai/name model.aibrix.ai/port model.aibrix.ai/engine"),
    **_each(
        AIBRIX,
        "storm-service-name storm-service-revision roleset-name role-name role-template-hash previous-owner "
        f"{_INDEX}/role-replica-index {_INDEX}/roleset-index {_INDEX}/pod-group-index {_INDEX}/podset-name",
    ),
    **_each(VOLCANO, "fault-type"),
    **_each(FREE, "tor-affinity super-pod-affinity inferserviceid ring-controller.atlas app jobID distributed"),
    **_each(FREE, "model.aibrix.ai/metric-port model.aibrix.ai/kv-connector-type volcano.sh/task-spec"),
    **_each(FREE, "volcano.sh/preemptable"),
    **_each(TRAINING, "process-recover-enable elastic-scheduling"),
    **_each(
        SHARED_CHIP,
        "huawei.com/scheduler.softShareDev.aicoreQuota huawei.com/scheduler.softShareDev.hbmQuota "
        "huawei.com/scheduler.softShareDev.policy",
    ),
    "ome.io/inferenceservice": MINDIE,
}
ANNOTATIONS: Mapping[str, Key] = {
    "huawei.com/schedule_minAvailable": Key(Use.FIELD, "minAvailable"),
    "huawei.com/schedule_policy": Key(Use.FIELD, "hardware"),
    "huawei.com/recover_policy_path": Key(Use.FIELD, "podGroupSize"),
    "sp-block": Key(Use.FIELD, "spBlock"),
    "scheduling.volcano.sh/queue-name": Key(Use.FIELD, "queue"),
    **_each(AIBRIX, f"{_INDEX}/role-replica-index {_INDEX}/roleset-index scheduling.volcano.sh/group-name"),
    **_each(
        VOLCANO,
        "huawei.com/Ascend910 huawei.com/AscendReal huawei.com/kltDev huawei.com/npu huawei.com/pod-status "
        "huawei.com/schedule_enqueue_time huawei.com/schedule_dequeue_frequency "
        "predicate-time hccl/rankIndex super-pod-rank super-pod-id distributed-job needVolcanoOpe podType "
        "reschedule-in-place ascend.kubectl.kubernetes.io/ascend-910-configuration scheduling.k8s.io/group-name",
    ),
    **_each(FREE, "ra-block sp-fit huawei.com/affinity-config huawei.com/skip-ascend-plugin"),
    **_each(FREE, "volcano.sh/task-spec volcano.sh/preemptable"),
    **_each(
        POD_GROUP,
        "huawei.com/schedule_enable_dequeue huawei.com/schedule.filter.faultCode "
        "huawei.com/schedule.filter.faultLevel volcano.sh/schedule.plugin",
    ),
    **_each(STORM_SERVICE, "model.aibrix.ai/sidecar-injection model.aibrix.ai/sidecar-runtime-image"),
    "huawei.com/infer_service_schedule": NOBODY,
    "scheduling.volcano.sh/group-min-member": Key(
        Use.ELSEWHERE, "it is read on ReplicaSets, StatefulSets and Jobs; use minAvailable"
    ),
    "grace-over-time": SCHEDULER_CONFIG,
    **_each(TRAINING, "recover-strategy"),
}
NODE_SELECTOR: Mapping[str, Key] = {
    "accelerator-type": Key(Use.FIELD, "hardware"),
    "host-arch": Key(Use.FIELD, "hostArch"),
    **_each(
        FREE,
        "accelerator servertype server-usage workerselector node.kubernetes.io/npu.chip.name "
        "mind-cluster/npu-chip-memory huawei.com/topotree.superpodid kubernetes.io/arch kubernetes.io/hostname "
        "beta.kubernetes.io/arch",
    ),
}
ENV: Mapping[str, Key] = {
    "ASCEND_VISIBLE_DEVICES": Key(Use.FIELD, "npus"),
    "POD_IP": Key(Use.CONTROLLER, "stormc"),
    **_each(
        AIBRIX,
        "STORM_SERVICE_NAME ROLESET_NAME ROLESET_INDEX ROLE_NAME ROLE_TEMPLATE_HASH ROLE_REPLICA_INDEX PODSET_NAME "
        "POD_GROUP_INDEX POD_GROUP_SIZE",
    ),
    **_each(
        FREE,
        "GLOO_SOCKET_IFNAME HCCL_BUFFSIZE HCCL_CONNECT_TIMEOUT HCCL_EXEC_TIMEOUT HCCL_IF_IP HCCL_OP_EXPANSION_MODE "
        "HCCL_SOCKET_IFNAME OMP_NUM_THREADS OMP_PROC_BIND PYTORCH_NPU_ALLOC_CONF TASK_QUEUE_ENABLE TP_SOCKET_IFNAME "
        "ASCEND_A3_ENABLE ASCEND_RT_VISIBLE_DEVICES VLLM_USE_V1",
    ),
    "ProcessRecoverStrategy": TRAINING,
}
TABLES: Mapping[str, Mapping[str, Key]] = {
    "labels": LABELS, "annotations": ANNOTATIONS, "nodeSelector": NODE_SELECTOR, "env": ENV,
}  # fmt: skip
NOUNS = {"labels": "label", "annotations": "annotation", "nodeSelector": "node label", "env": "environment variable"}

RESERVED = ("huawei.com/", "volcano.sh/", "scheduling.volcano.sh/", "model.aibrix.ai/", f"{_INDEX}/", "fault-")
"""Whose keys are all known; on node selectors, clusters have their own."""

_COMMON = ("jobID",)
"""Keys that nobody means who writes one like it: `job-id` and `jobId` are labels of people's own."""

_CLOSE = 0.86
"""Similarity from which two keys are one with a slip: one letter of ten."""


@cache
def meant(table: str, key: str) -> str | None:
    """The known key that an unknown one is a misspelling of, or None."""
    close = get_close_matches(_bare(key), _spellings(table), n=1, cutoff=_CLOSE) if len(key) > 4 else []
    return _spellings(table)[close[0]] if close else None


@cache
def _spellings(table: str) -> dict[str, str]:
    return {_bare(name): name for name in TABLES[table] if name not in _COMMON}


def _bare(key: str) -> str:
    """The key in lower case and without MindCluster's prefix, which people add and forget."""
    return key.lower().removeprefix("huawei.com/")


@cache
def home(table: str, key: str) -> str | None:
    """The other table in which a key is known, None for a key of this table or of none."""
    if key in TABLES[table] or table == "env":
        return None
    if table != "nodeSelector" and key in NODE_SELECTOR and NODE_SELECTOR[key].use is Use.FIELD:
        return "nodeSelector"
    return next((other for other in ("labels", "annotations") if other != table and key in TABLES[other]), None)


def of_use(table: str, keys: Iterable[str], *uses: Use) -> list[tuple[str, Key]]:
    """The keys of a table that are known with one of the uses."""
    known = TABLES[table]
    return [(key, known[key]) for key in keys if key in known and known[key].use in uses]
