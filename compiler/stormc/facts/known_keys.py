"""The keys that MindCluster, Volcano and AIBrix read on a pod: a closed list, because all of them ignore a misspelling.

Keys that code handles one by one have a name in keys.py; the others stand here only.

Sources: mind-cluster component/ascend-for-volcano plugin/job.go:152-235 and common/util/constants.go; AIBrix v0.5.0
pkg/controller/constants/stormservice.go:19-47, pkg/utils/pod.go:332-351; MindCluster docs
06_api/15_yaml_configuration.md and 06_api/12_k8s.md:38-63; vllm-ascend pd_disaggregation_mooncake_multi_node.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from stormc.facts import keys
from stormc.facts.keys import Annotation, Env, Label, NodeLabel
from stormc.phrase import NONE, Phrase, phrase
from stormc.record import NamedTuple


class Use(Enum):
    """What a user may do with a key."""

    FIELD = "stormc writes it"
    CONTROLLER = "a controller writes it"
    FREE = "users may set it"
    ELSEWHERE = "nobody reads it on a pod"
    FOREIGN = "it belongs to another kind of job"


OWNED = (Use.FIELD, Use.CONTROLLER)


class Key(NamedTuple):
    """A known key. `text` is the spec field behind FIELD, or the writer behind CONTROLLER.

    `reason` says why a key of the other uses has no effect on a pod; it becomes the hint of the finding.
    """

    use: Use
    text: str = ""
    reason: Phrase = NONE
    since: str = ""
    """The first MindCluster release that reads it, where that is not the oldest that stormc supports."""


def _each(key: Key, *names: str) -> dict[str, Key]:
    return dict.fromkeys(names, key)


FREE = Key(Use.FREE)
AIBRIX = Key(Use.CONTROLLER, "AIBrix")
VOLCANO = Key(Use.CONTROLLER, phrase("the scheduler"))
TRAINING = Key(Use.FOREIGN, reason=phrase("it belongs to training jobs, where Ascend Operator sets it"))
MINDIE = Key(Use.FOREIGN, reason=phrase("it makes the scheduler take the pods for a MindIE or OME service"))
SHARED_CHIP = Key(Use.FOREIGN, reason=phrase("it shares one card between pods, whereas vLLM takes whole NPUs"))
POD_GROUP = Key(
    Use.ELSEWHERE, reason=phrase("it is read on a PodGroup; volcano-controller does not copy it from a pod")
)
STORM_SERVICE = Key(Use.ELSEWHERE, reason=phrase("it is read on the StormService's metadata"))
NOBODY = Key(Use.ELSEWHERE, reason=phrase("no release reads it"))
SCHEDULER_CONFIG = Key(Use.ELSEWHERE, reason=phrase("it is a setting of the scheduler's configuration"))


LABELS: Mapping[str, Key] = {
    Label.FAULT_SCHEDULING: Key(Use.FIELD, "faults.scheduling"),
    Label.FAULT_RETRY_TIMES: Key(Use.FIELD, "faults.retries"),
    Label.SUB_HEALTHY_STRATEGY: Key(Use.FIELD, "faults.subHealthy"),
    Label.POD_RESCHEDULING: Key(Use.FIELD, "podGroupSize"),
    **_each(Key(Use.FIELD, "gateway"), Label.MODEL_NAME, Label.MODEL_PORT, Label.MODEL_ENGINE),
    **_each(
        AIBRIX, Label.STORM_SERVICE, Label.STORM_SERVICE_REVISION, Label.ROLESET, Label.ROLE, Label.ROLE_TEMPLATE_HASH,
        "previous-owner", Label.ROLE_REPLICA, Label.ROLESET_INDEX, Label.POD_GROUP_INDEX, Label.POD_SET,
    ),
    "fault-type": VOLCANO,
    **_each(
        FREE, Label.TOR_AFFINITY, Label.SUPER_POD_AFFINITY, Label.INFER_SERVICE, "ring-controller.atlas", Label.APP,
        Label.JOB, "distributed", "model.aibrix.ai/metric-port", "model.aibrix.ai/kv-connector-type",
        "volcano.sh/task-spec", "volcano.sh/preemptable",
    ),
    "custom-job-id": Key(Use.FREE, since="26.0"),  # clusterd pkg/domain/job/job_util.go: of a PodGroup or its pods
    **_each(TRAINING, "process-recover-enable", "elastic-scheduling"),
    **_each(
        SHARED_CHIP, "huawei.com/scheduler.softShareDev.aicoreQuota", "huawei.com/scheduler.softShareDev.hbmQuota",
        "huawei.com/scheduler.softShareDev.policy",
    ),
    "ome.io/inferenceservice": MINDIE,
}  # fmt: skip
ANNOTATIONS: Mapping[str, Key] = {
    Annotation.SCHEDULE_MIN_AVAILABLE: Key(Use.FIELD, "minAvailable"),
    Annotation.SCHEDULE_POLICY: Key(Use.FIELD, "hardware"),
    Annotation.RECOVER_POLICY_PATH: Key(Use.FIELD, "podGroupSize"),
    Annotation.SP_BLOCK: Key(Use.FIELD, "spBlock"),
    Annotation.QUEUE_NAME: Key(Use.FIELD, "queue"),
    **_each(AIBRIX, Label.ROLE_REPLICA, Label.ROLESET_INDEX, "scheduling.volcano.sh/group-name"),
    **_each(
        VOLCANO, keys.Resource.ASCEND_910, "huawei.com/AscendReal", "huawei.com/kltDev", keys.Resource.NPU,
        "huawei.com/pod-status", "huawei.com/schedule_enqueue_time", "huawei.com/schedule_dequeue_frequency",
        "predicate-time", "hccl/rankIndex", "super-pod-rank", "super-pod-id", "distributed-job", "needVolcanoOpe",
        "podType", "reschedule-in-place", "ascend.kubectl.kubernetes.io/ascend-910-configuration",
        "scheduling.k8s.io/group-name",
    ),
    **_each(FREE, "sp-fit", "huawei.com/skip-ascend-plugin"),
    Annotation.RA_BLOCK: Key(Use.FREE, since="26.0"),
    "huawei.com/affinity-config": Key(Use.FREE, since="26.2"),  # ascend-for-volcano 8ca5f928, master of August 2026
    **_each(FREE, "volcano.sh/task-spec", "volcano.sh/preemptable"),
    **_each(
        POD_GROUP, "huawei.com/schedule_enable_dequeue", "huawei.com/schedule.filter.faultCode",
        "huawei.com/schedule.filter.faultLevel", "volcano.sh/schedule.plugin",
    ),
    **_each(STORM_SERVICE, Annotation.SIDECAR_INJECTION, "model.aibrix.ai/sidecar-runtime-image"),
    "huawei.com/infer_service_schedule": NOBODY,
    "scheduling.volcano.sh/group-min-member": Key(
        Use.ELSEWHERE, reason=phrase("it is read on ReplicaSets, StatefulSets and Jobs; use minAvailable")
    ),
    "grace-over-time": SCHEDULER_CONFIG,
    "recover-strategy": TRAINING,
}  # fmt: skip
NODE_SELECTOR: Mapping[str, Key] = {
    NodeLabel.ACCELERATOR_TYPE: Key(Use.FIELD, "hardware"),
    NodeLabel.HOST_ARCH: Key(Use.FIELD, "hostArch"),
    **_each(
        FREE, "accelerator", "servertype", "server-usage", "workerselector", "node.kubernetes.io/npu.chip.name",
        "mind-cluster/npu-chip-memory", "huawei.com/topotree.superpodid", NodeLabel.ARCH, NodeLabel.HOSTNAME,
        "beta.kubernetes.io/arch",
    ),
}  # fmt: skip
ENV: Mapping[str, Key] = {
    Env.VISIBLE_DEVICES: Key(Use.FIELD, "npus"),
    Env.POD_IP: Key(Use.CONTROLLER, "stormc"),
    **_each(
        AIBRIX, Env.STORM_SERVICE_NAME, Env.ROLESET_NAME, Env.ROLESET_INDEX, Env.ROLE_NAME, Env.ROLE_TEMPLATE_HASH,
        Env.ROLE_REPLICA_INDEX, Env.PODSET_NAME, Env.POD_GROUP_INDEX, Env.POD_GROUP_SIZE,
    ),
    **_each(
        FREE, Env.GLOO_INTERFACE, Env.HCCL_BUFFER_SIZE, Env.HCCL_CONNECT_SECONDS, Env.HCCL_EXEC_SECONDS, Env.HCCL_IF_IP,
        Env.HCCL_EXPANSION_MODE, Env.HCCL_INTERFACE, Env.OMP_THREADS, Env.OMP_PROC_BIND, Env.NPU_ALLOCATION,
        Env.TASK_QUEUE, Env.TP_INTERFACE, "ASCEND_A3_ENABLE", Env.RUNTIME_DEVICES, "VLLM_USE_V1",
        "HCCL_BUFFSIZE_EP", "MKL_NUM_THREADS", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "NCCL_SOCKET_IFNAME",
        "NCCL_BUFFSIZE", "POD_IPS", "HCCL_IF_BASE_PORT", "HCCL_INTRA_ROCE_ENABLE", "HCCL_INTRA_PCIE_ENABLE",
        "ASCEND_CONNECT_TIMEOUT", "ASCEND_TRANSFER_TIMEOUT",
    ),
    "ProcessRecoverStrategy": TRAINING,
}  # fmt: skip
TABLES: Mapping[str, Mapping[str, Key]] = {
    "labels": LABELS, "annotations": ANNOTATIONS, "nodeSelector": NODE_SELECTOR, "env": ENV,
}  # fmt: skip
NOUNS = {
    "labels": phrase("label"), "annotations": phrase("annotation"), "nodeSelector": phrase("node label"),
    "env": phrase("environment variable"),
}  # fmt: skip

RESERVED = (
    keys.HUAWEI_PREFIX, "volcano.sh/", "scheduling.volcano.sh/", "model.aibrix.ai/", keys.STORM_SERVICE_PREFIX,
    "fault-",
)  # fmt: skip
"""Prefixes of labels and annotations below which every key is known. Node labels below them may be a cluster's own."""
