"""Every label, annotation, node label, variable, resource and directory that somebody in the cluster knows, once.

Who reads or writes which, and what a user may do with it, is in known_keys.py. Sources, unless a line names another:
mind-cluster component/ascend-for-volcano plugin/job.go and common/util/constants.go; AIBrix v0.5.0
pkg/controller/constants/stormservice.go:19-47; MindCluster docs 06_api/15_yaml_configuration.md.
"""

from __future__ import annotations

VOLCANO = "volcano"
"""The schedulerName of pods that Volcano schedules (MindCluster guide, parameter table)."""

STORM_SERVICE_PREFIX = "stormservice.orchestration.aibrix.ai/"
APP_PREFIX = "app.kubernetes.io/"
HUAWEI_PREFIX = "huawei.com/"
"""Prefix of MindCluster's annotations, and of every resource that Volcano takes for NPUs (plugin/job.go)."""
STORMC_PREFIX = "stormc.dev/"
ARGOCD_PREFIX = "argocd.argoproj.io/"
FLUX_PREFIX = "kustomize.toolkit.fluxcd.io/"
HELM_RELEASE_PREFIX = "helm.toolkit.fluxcd.io/"
HELM_PREFIX = "meta.helm.sh/"
KUBECTL_PREFIX = "kubectl.kubernetes.io/"


class Label:
    """Labels of pods and of the objects around them."""

    FAULT_SCHEDULING = "fault-scheduling"
    FAULT_RETRY_TIMES = "fault-retry-times"
    SUB_HEALTHY_STRATEGY = "subHealthyStrategy"
    POD_RESCHEDULING = "pod-rescheduling"
    TOR_AFFINITY = "tor-affinity"  # ascend-for-volcano internal/nslb/frame.go:32-95
    SUPER_POD_AFFINITY = "super-pod-affinity"
    INFER_SERVICE = "inferserviceid"  # MindCluster docs 01_affinity_scheduling/06_infer_affinity_scheduling.md
    JOB = "jobID"
    APP = "app"

    STORM_SERVICE = "storm-service-name"
    STORM_SERVICE_REVISION = "storm-service-revision"
    ROLESET = "roleset-name"
    ROLE = "role-name"
    ROLE_TEMPLATE_HASH = "role-template-hash"
    ROLE_REPLICA = f"{STORM_SERVICE_PREFIX}role-replica-index"
    ROLESET_INDEX = f"{STORM_SERVICE_PREFIX}roleset-index"
    ROLE_REVISION = f"{STORM_SERVICE_PREFIX}role-revision"
    ROLE_REVISION_NAME = f"{STORM_SERVICE_PREFIX}role-revision-name"
    POD_SET = f"{STORM_SERVICE_PREFIX}podset-name"
    POD_GROUP_INDEX = f"{STORM_SERVICE_PREFIX}pod-group-index"

    MODEL_NAME = "model.aibrix.ai/name"  # AIBrix pkg/cache/informers.go:96-124
    MODEL_PORT = "model.aibrix.ai/port"
    MODEL_ENGINE = "model.aibrix.ai/engine"

    MANAGED_BY = f"{APP_PREFIX}managed-by"  # Kubernetes docs, recommended labels
    NAME = f"{APP_PREFIX}name"
    PART_OF = f"{APP_PREFIX}part-of"
    INSTANCE = f"{APP_PREFIX}instance"
    COMPONENT = f"{APP_PREFIX}component"
    NAMESPACE = "kubernetes.io/metadata.name"  # of every namespace since Kubernetes 1.21
    STORMC_APP = f"{STORMC_PREFIX}app"
    """stormc's own label, by which a StormService selects its RoleSets."""


FAULT_SCHEDULING_VALUES = ("grace", "force", "off")
"""What fault-scheduling may be; any other value switches recovery off (ascend-for-volcano rescheduling/job.go:714)."""
RECOVERING = ("grace", "force")
"""The values with which Volcano reschedules pods after a fault."""
SUB_HEALTHY_VALUES = ("ignore", "graceExit", "forceExit")
"""What subHealthyStrategy may be; any other value is taken for the first (ascend-for-volcano plugin/job.go:607-615)."""

TOR_AFFINITY_TRAINING = ("large-model-schema", "normal-schema")
TOR_AFFINITY_VALUES = (*TOR_AFFINITY_TRAINING, "null")
"""What tor-affinity may be; with any other value the job is refused (ascend-for-volcano internal/nslb/frame.go)."""


class Annotation:
    """Annotations of pods and of the objects around them."""

    SCHEDULE_MIN_AVAILABLE = "huawei.com/schedule_minAvailable"
    SCHEDULE_POLICY = "huawei.com/schedule_policy"
    RECOVER_POLICY_PATH = "huawei.com/recover_policy_path"
    SP_BLOCK = "sp-block"
    RA_BLOCK = "ra-block"
    QUEUE_NAME = "scheduling.volcano.sh/queue-name"
    SIDECAR_INJECTION = "model.aibrix.ai/sidecar-injection"  # AIBrix v0.5.0 pkg/utils/pod.go:332-351

    STORMC_SPEC = f"{STORMC_PREFIX}spec"
    STORMC_SPEC_DIGEST = f"{STORMC_PREFIX}spec-digest"
    STORMC_VERSION = f"{STORMC_PREFIX}version"
    """The version of the program in a ConfigMap: a digest of its code."""

    ARGOCD_SYNC_OPTIONS = f"{ARGOCD_PREFIX}sync-options"  # argo-cd docs/user-guide/sync-options.md
    ARGOCD_COMPARE_OPTIONS = f"{ARGOCD_PREFIX}compare-options"
    ARGOCD_SYNC_WAVE = f"{ARGOCD_PREFIX}sync-wave"
    ARGOCD_DELETION_APPROVED = f"{ARGOCD_PREFIX}deletion-approved"  # docs/user-guide/sync-options.md
    ARGOCD_GENERATE_PATHS = f"{ARGOCD_PREFIX}manifest-generate-paths"
    ARGOCD_TRACKING_ID = f"{ARGOCD_PREFIX}tracking-id"  # argo-cd docs/user-guide/resource_tracking.md
    ARGOCD_INSTANCE = f"{ARGOCD_PREFIX}instance"
    FLUX_PRUNE = f"{FLUX_PREFIX}prune"  # fluxcd docs, Kustomization, spec.prune
    FLUX_SUBSTITUTE = f"{FLUX_PREFIX}substitute"
    FLUX_NAME = f"{FLUX_PREFIX}name"  # on every object that kustomize-controller applies
    FLUX_HELM_NAME = f"{HELM_RELEASE_PREFIX}name"


class NodeLabel:
    """Labels of nodes."""

    ACCELERATOR_TYPE = "accelerator-type"
    HOST_ARCH = "host-arch"
    ARCH = "kubernetes.io/arch"
    HOSTNAME = "kubernetes.io/hostname"


HOST_ARCHES = {"arm": "huawei-arm", "x86": "huawei-x86"}
"""The spec's hostArch → the value of the node label host-arch (MindCluster docs, preparing_for_installation.md)."""
KUBELET_ARCHES = {"arm": "arm64", "x86": "amd64"}
"""The spec's hostArch → the value of kubernetes.io/arch, which the kubelet sets."""


class Env:
    """Environment variables of containers."""

    VISIBLE_DEVICES = "ASCEND_VISIBLE_DEVICES"
    RUNTIME_DEVICES = "ASCEND_RT_VISIBLE_DEVICES"  # CANN runtime: counted from 0 inside the container
    POD_IP = "POD_IP"
    STORM_SERVICE_NAME = "STORM_SERVICE_NAME"
    ROLESET_NAME = "ROLESET_NAME"
    ROLESET_INDEX = "ROLESET_INDEX"
    ROLE_NAME = "ROLE_NAME"
    ROLE_TEMPLATE_HASH = "ROLE_TEMPLATE_HASH"
    ROLE_REPLICA_INDEX = "ROLE_REPLICA_INDEX"
    PODSET_NAME = "PODSET_NAME"
    POD_GROUP_INDEX = "POD_GROUP_INDEX"
    POD_GROUP_SIZE = "POD_GROUP_SIZE"

    GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"  # this and the following: vllm-ascend and CANN
    HCCL_BUFFER_SIZE = "HCCL_BUFFSIZE"
    HCCL_CONNECT_SECONDS = "HCCL_CONNECT_TIMEOUT"
    HCCL_EXEC_SECONDS = "HCCL_EXEC_TIMEOUT"
    HCCL_IF_IP = "HCCL_IF_IP"
    HCCL_EXPANSION_MODE = "HCCL_OP_EXPANSION_MODE"
    HCCL_INTERFACE = "HCCL_SOCKET_IFNAME"
    OMP_THREADS = "OMP_NUM_THREADS"
    OMP_PROC_BIND = "OMP_PROC_BIND"
    NPU_ALLOCATION = "PYTORCH_NPU_ALLOC_CONF"
    TASK_QUEUE = "TASK_QUEUE_ENABLE"
    TP_INTERFACE = "TP_SOCKET_IFNAME"


GATEWAY_NAMESPACES = ("aibrix-system", "envoy-gateway-system")
"""Where AIBrix's gateway runs (AIBrix docs, installation); with `gateway: roles` it talks to the engines itself."""


class Resource:
    """What containers ask for to get NPUs."""

    ASCEND_910 = "huawei.com/Ascend910"
    NPU = "huawei.com/npu"


class Directory:
    """Paths inside a container."""

    HCCN_CONF = "/etc/hccn.conf"
    """NPU addresses; Ascend Docker Runtime does not mount it (ascend-docker-runtime build/scripts/base.list)."""
    SHM = "/dev/shm"
    STORMC = "/opt/stormc"
    LAUNCHER = "/opt/stormc/launcher"


DEVICE_FILES = frozenset(
    {Directory.HCCN_CONF, "/etc/hixlep", "/etc/hccl_rootinfo.json", "/lib/route.conf", "/usr/bin/urma_admin"}
)
"""Files of a node that KV transfer reads: on A2 and A3 the first, on the 950 series the others (vllm-ascend docs)."""
