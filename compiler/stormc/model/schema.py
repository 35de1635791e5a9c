"""The spec's Cerberus schema: the single source of types, defaults and ranges.

Split into sections because Cerberus spends most of its time building and hashing validators for nested schemas:
one validator per section, built once, is ten times faster. `meta` entries document a field for editors.
"""

from __future__ import annotations

from typing import Any

from stormc.facts import limits
from stormc.facts.keys import Directory, Resource
from stormc.model import quantity

Schema = dict[str, dict[str, Any]]

_REPOSITORY = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
# The grammar of github.com/distribution/reference: the kubelet answers InvalidImageName to anything else.
IMAGE = (
    rf"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?/)?{_REPOSITORY}(/{_REPOSITORY})*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@sha256:[0-9a-f]{64})?"
)
ABSOLUTE_PATH = r"(?!.*/\.\.(/|$))/[^\x00-\x1f]*"
ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
FLAG = r"[a-z0-9]+(-[a-z0-9]+)*"
DNS_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL_KEY = rf"(?![^/]{{254}})({DNS_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
REPOSITORY_PATH = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"
REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"


def _field(type_: str | list[str], description: str, **rules: Any) -> dict[str, Any]:
    return {"type": type_, "meta": {"description": description}, **rules}


def _whole(description: str, low: int, high: int, **rules: Any) -> dict[str, Any]:
    return _field("integer", description, min=low, max=high, **rules)


_LABELS = {
    "keysrules": {"type": "string", "regex": LABEL_KEY},
    "valuesrules": {"type": "string", "regex": LABEL_VALUE},
}
_ENV = _field(
    "dict", "Environment of the container; a value here replaces stormc's default of the same name.",
    keysrules={"type": "string", "regex": ENV_NAME}, valuesrules={"type": ["string", "integer"]}, default={},
)  # fmt: skip
_RESOURCES = _field(
    "dict", "CPU and memory of the container; requests equal limits.",
    schema={
        "cpu": _field(["string", "integer"], "CPU cores.", regex=quantity.PATTERN, min=0),
        "memory": _field(["string", "integer"], "Main memory.", regex=quantity.PATTERN, min=0),
    },
)  # fmt: skip
_IMAGE_FIELDS: Schema = {
    "image": _field("string", "Container image with a pinned tag or digest.", regex=IMAGE),
    "imagePullPolicy": _field(
        "string", "When the kubelet pulls the image.", allowed=["Always", "IfNotPresent", "Never"]
    ),
}
_POD_FIELDS: Schema = {
    **_IMAGE_FIELDS,
    "resources": _RESOURCES,
    "env": _ENV,
    "labels": _field("dict", "Further labels of the role's pods.", default={}, **_LABELS),
    "annotations": _field(
        "dict", "Further annotations of the role's pods.", default={},
        keysrules={"type": "string", "regex": LABEL_KEY}, valuesrules={"type": "string"},
    ),
    "nodeSelector": _field("dict", "Further node labels that the role's pods need.", default={}, **_LABELS),
    "tolerations": _field(
        "list", "Taints that the role's pods tolerate.", default=[],
        schema={"type": "dict", "schema": {
            "key": _field("string", "Taint key.", regex=LABEL_KEY),
            "operator": _field("string", "How the value is compared.", allowed=["Exists", "Equal"]),
            "value": _field("string", "Taint value.", regex=LABEL_VALUE),
            "effect": _field("string", "Taint effect.", allowed=["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            "tolerationSeconds": _whole("Seconds until eviction, with NoExecute.", 0, 10**9),
        }},
    ),
    "priorityClassName": _field("string", "PriorityClass of the pods.", regex=DNS_SUBDOMAIN, maxlength=253),
}  # fmt: skip

APP: Schema = {
    "apiVersion": _field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": _field("string", "What this file describes.", required=True, allowed=["App"]),
    "name": _field(
        "string", "Name of the service and of its StormService, a DNS-1035 label.",
        required=True, regex=limits.NAME_PATTERN, maxlength=limits.LABEL_BYTES,
    ),
    "namespace": _field(
        "string", "Namespace; default: the platform's.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES
    ),
    "model": _field("dict", "The model that is served.", required=True),
    **_IMAGE_FIELDS,
    "image": {**_IMAGE_FIELDS["image"], "required": True},
    "imagePullSecrets": _field(
        "list", "Secrets that hold registry credentials.", default=[],
        schema={"type": "string", "regex": DNS_SUBDOMAIN, "maxlength": 253},
    ),
    "hardware": _field("string", "Hardware profile of the NPU nodes.", required=True),
    "hostArch": _field("string", "CPU architecture of the nodes; default: the profile's.", allowed=["arm", "x86"]),
    "port": _whole("First engine port; rank k of a pod listens on port + k.", 1024, limits.PORT_MAX, default=8080),
    "kvTransfer": _field("dict", "How KV cache moves from prefill to decode.", default={}),
    "expertParallel": _field("boolean", "Shard the experts of a MoE model over the ranks.", default=False),
    "prefill": _field("dict", "The prefill role.", required=True),
    "decode": _field("dict", "The decode role.", required=True),
    "routing": _field("dict", "The routing role: the proxy.", default={}),
    "faults": _field("dict", "What happens when a chip, a node or a process fails.", default={}),
    "engine": _field("dict", "How the engine containers start.", default={}),
    "proxy": _field("dict", "Settings of the routing proxy.", default={}),
    "networkPolicy": _field(
        "boolean", "Let only routing pods reach the engines, and only decode pods the metaserver.", default=False
    ),
    "gateway": _field(
        "string", "Which pods carry the model.aibrix.ai labels that AIBrix's gateway discovers.",
        allowed=["roles", "router", "off"], default="roles",
    ),
    "overrides": _field("list", "The escape hatch: patches of the rendered objects.", default=[]),
}  # fmt: skip

MODEL: Schema = {
    "name": _field("string", "Name that clients send as `model`.", required=True, regex=r"[^\s\x00-\x1f]+"),
    "path": _field("string", "Directory of the weights inside the pod.", required=True, regex=ABSOLUTE_PATH),
    "volume": _field(
        "dict", "Where the weights come from; default: the host directory above model.path.",
        schema={
            "hostPath": _field(
                "string", "Directory on every node.", regex=ABSOLUTE_PATH, excludes="persistentVolumeClaim"
            ),
            "persistentVolumeClaim": _field(
                "string", "Claim in the app's namespace.", regex=limits.NAMESPACE_PATTERN, excludes="hostPath"
            ),
        },
        minlength=1,
    ),
}  # fmt: skip

ROLE: Schema = {
    "replicas": _whole("Instances of the role.", 1, 1000, default=1),
    "podGroupSize": _whole("Pods per instance.", 1, limits.POD_GROUP_SIZE_MAX, default=1),
    "dataParallel": _whole("Data-parallel ranks per instance.", 1, 4096, default=1),
    "tensorParallel": _whole("Tensor-parallel NPUs per rank.", 1, 1024, default=1),
    "distributedDp": _field(
        "boolean", "One process and one port per data-parallel rank; default: true when dataParallel > 1.",
        default_setter="distributed_dp",
    ),
    "npus": _whole("NPUs per pod; default: all of a node.", 1, 64),
    "allowPartialNode": _field("boolean", "Allow pods that take only a part of a node.", default=False),
    "spBlock": _whole("NPUs per logical super pod; super-pod profiles only.", 1, 65536),
    "minAvailable": _whole("Pods that must be schedulable at once; default: computed.", 1, 100_000),
    "engineArgs": _field(
        "dict", "vLLM flags without `--`; null removes a default.", default={},
        keysrules={"type": "string", "regex": FLAG},
        valuesrules={"type": ["string", "integer", "float", "boolean", "dict", "list"], "nullable": True},
    ),
    "shmSize": _field(
        ["string", "integer"], f"Size limit of {Directory.SHM}.", regex=quantity.PATTERN, min=0, default="16Gi"
    ),
    "queue": _field("string", "Volcano queue.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES),
    **_POD_FIELDS,
}  # fmt: skip

ROUTING: Schema = {
    "replicas": _whole("Routing pods.", 1, 100, default=1),
    **_POD_FIELDS,
    "resources": {**_RESOURCES, "default": {"cpu": "1", "memory": "1Gi"}},
}

KV_TRANSFER: Schema = {
    "connector": _field(
        "string", "vLLM KV connector; it decides the proxy's protocol too.",
        allowed=list(limits.CONNECTORS), default=limits.CONNECTORS[0],
    ),
    "port": _whole("First KV port of a pod; default: the profile's.", 1024, limits.PORT_MAX),
}  # fmt: skip

FAULTS: Schema = {
    "scheduling": _field(
        "string",
        "How Volcano deletes the pods of a faulty instance.",
        allowed=["grace", "force", "off"],
        default="force",
    ),
    "retries": _whole("Reschedules after a process failure; 0 turns them off.", 0, limits.RETRIES_MAX, default=10),
    "subHealthy": _field(
        "string", "What happens on a sub-healthy chip.", allowed=["ignore", "graceExit", "forceExit"], default="ignore"
    ),
    "gracePeriodSeconds": _whole("Seconds to finish requests, with scheduling grace.", 1, limits.GRACE_SECONDS_MAX),
}

ENGINE: Schema = {
    "startupSeconds": _whole(
        "Seconds in which a pod may load the model before it counts as failed.", 60, 86400, default=1800
    ),
    "command": _field(
        "list", "The container's command instead of stormc's launcher; the vLLM flags are not passed to it.",
        schema={"type": "string", "minlength": 1}, minlength=1, excludes="script",
    ),
    "script": _field(
        "dict", "A start script on the nodes instead of the launcher, with the environment of the k8s-deploy-tool.",
        schema={
            "hostPath": _field(
                "string", "Directory on every node, mounted at the same path.", required=True, regex=ABSOLUTE_PATH
            ),
            "command": _field("string", "Shell command, run in that directory.", required=True, minlength=1),
        },
        excludes="command",
    ),
}  # fmt: skip

PROXY: Schema = {
    "source": _field(
        "string", "Where the proxy program comes from: a ConfigMap with stormc's own, or the routing image.",
        allowed=["configMap", "image"], default="configMap",
    ),
    "port": _whole("Port of the routing pods.", 1024, limits.PORT_MAX, default=8080),
    "maxFailures": _whole("Failures after which one more isolates an instance.", 0, 1000, default=3),
    "probeIntervalSeconds": _whole("Seconds between health probes.", 1, 3600, default=5),
    "probeTimeoutSeconds": _whole("Seconds that a probe waits.", 1, 3600, default=2),
    "maxRetries": _whole("Attempts per request.", 1, 100, default=3),
    "connectTimeoutSeconds": _whole("Seconds to open a connection.", 1, 3600, default=3),
    "streamIdleTimeoutSeconds": _whole("Seconds between two chunks of a stream; 0 is no limit.", 0, 86400, default=0),
    "drainSeconds": _whole("Seconds for running requests when a routing pod stops.", 0, 3600, default=30),
    # Without a default here the proxy's own holds (stormc_proxy/settings.py).
    "cumulativeFailures": _field("boolean", "A success does not reset an instance's count of failures."),
    "slowStartSeconds": _whole("Seconds until an instance that came back has its full share again.", 0, 3600),
    "maxBackoffSeconds": _whole("Longest time between probes of an instance that keeps failing.", 0, 86400),
    "maxIsolatedPercent": _whole("Largest share of a role that is isolated at a time.", 0, 100),
    "panic": _field("boolean", "When all instances of a role are isolated, try them anyway instead of 503."),
    "retryBudgetPercent": _whole("Retries within ten seconds as a share of the requests.", 0, 10000),
    "responseTimeoutSeconds": _whole("Seconds until an instance starts to answer; 0 is no limit.", 0, 86400),
    "maxRecomputes": _whole("Times that an instance may give an answer up for recomputation.", 0, 1000),
    "chatResume": _field(
        "string", "Where a recomputed chat answer goes on: a message of its own, or the first, as in the reference.",
        allowed=["continue", "first-message"],
    ),
    "metaserverAck": _field(
        "string", "When a decode instance's callback is answered: at once, or after the prefill, as in the reference.",
        allowed=["early", "late"],
    ),
    "maxBodyBytes": _whole("Larger requests get 413.", 1024, 2**31 - 1),
    "maxRequests": _whole("More requests at a time get 429; 0 is no limit.", 0, 1_000_000),
    "accessLog": _field("boolean", "A line in the log for every request."),
}  # fmt: skip

OVERRIDE: Schema = {
    "target": _field(
        "string", "Kind, or kind/name, of the objects to patch.", required=True,
        regex=r"(StormService|Service|ConfigMap|PodDisruptionBudget|NetworkPolicy)(/[a-z]([-a-z0-9]*[a-z0-9])?)?",
    ),
    "patch": _field("dict", "Strategic merge patch; null removes a field.", required=True, minlength=1),
    "reason": _field("string", "Why the spec cannot say it.", required=True, minlength=1),
    "owner": _field("string", "Who answers for it.", required=True, minlength=1),
    "expires": _field("string", "Day from which the override is reported, YYYY-MM-DD.", regex=DATE),
}  # fmt: skip

SECTIONS: dict[str, Schema] = {
    "model": MODEL,
    "kvTransfer": KV_TRANSFER,
    "prefill": ROLE,
    "decode": ROLE,
    "routing": ROUTING,
    "faults": FAULTS,
    "engine": ENGINE,
    "proxy": PROXY,
}

_CHECKOUT: Schema = {
    "revision": _field("string", "Branch that is synced; default: main.", regex=REVISION),
    "path": _field(
        "string", "Directory of the rendered tree in the repository; default: rendered.", regex=REPOSITORY_PATH
    ),
}
GITOPS: Schema = {
    "argocd": _field("dict", "Wiring for Argo CD.", schema={
        "repoURL": _field(
            "string", "Git repository, as Argo CD clones it.", required=True,
            regex=r"(https?|ssh)://[^\s]+|[^\s@/]+@[^\s:]+:[^\s]+",
        ),
        **_CHECKOUT,
        "project": _field(
            "string", "AppProject of the apps, written by stormc; not Argo CD's own, default.", required=True,
            regex=f"(?!default$){limits.NAMESPACE_PATTERN}", maxlength=limits.LABEL_BYTES,
        ),
        "namespace": _field("string", "Namespace of Argo CD; default: argocd.", regex=limits.NAMESPACE_PATTERN),
        "server": _field("string", "API server that the apps run on; default: Argo CD's own.", regex=r"https://[^\s]+"),
    }),
    "flux": _field("dict", "Wiring for Flux.", schema={
        "repoURL": _field(
            "string", "Git repository, as Flux clones it.", required=True, regex=r"(https?|ssh)://[^\s]+"
        ),
        **_CHECKOUT,
        "namespace": _field("string", "Namespace of Flux; default: flux-system.", regex=limits.NAMESPACE_PATTERN),
        "secret": _field("string", "Secret with the repository's credentials.", regex=DNS_SUBDOMAIN, maxlength=253),
    }),
}  # fmt: skip

PLATFORM: Schema = {
    "apiVersion": _field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": _field("string", "What this file describes.", required=True, allowed=["Platform"]),
    "mindcluster": _field(
        "string", "MindCluster release of the cluster.", allowed=list(limits.MINDCLUSTER_RELEASES)
    ),
    "aibrix": _field("string", "AIBrix release of the cluster.", allowed=list(limits.AIBRIX_RELEASES)),
    "namespace": _field(
        "string", "Namespace of apps that name none.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES
    ),
    "superPodSize": _whole("Nodes per super pod, as the scheduler is configured.", 1, limits.SUPER_POD_NODES_MAX),
    "reserveNodes": _whole(
        "Nodes per super pod that the scheduler keeps free, as it is configured.", 0, limits.SUPER_POD_NODES_MAX
    ),
    "inventory": _field(
        "dict", "NPU nodes per hardware profile.", keysrules={"type": "string"},
        valuesrules={"type": "dict", "schema": {
            "nodes": _whole("Nodes of this profile in the cluster.", 0, 10**6, required=True),
        }},
    ),
    "defaults": _field("dict", "App fields for the apps below this directory."),
    "gitops": _field("dict", "Wiring by which an engine syncs the apps below this directory.", schema=GITOPS),
}  # fmt: skip
NOT_IN_DEFAULTS = ("apiVersion", "kind", "name", "overrides")

PROFILE: Schema = {
    "apiVersion": _field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": _field("string", "What this file describes.", required=True, allowed=["Profile"]),
    "name": _field("string", "Name that specs use; the file's name.", required=True, regex=limits.NAMESPACE_PATTERN),
    "product": _field("string", "Product name of the vendor.", required=True, minlength=1),
    "npus": _whole("NPUs per node, in units of the resource.", 1, 64, required=True),
    "podNpus": _field(
        "list", "NPU counts per pod that the scheduler's handler accepts.", required=True, minlength=1,
        schema={"type": "integer", "min": 1, "max": 64},
    ),
    "hostArch": _field("string", "CPU architecture of the nodes.", allowed=["arm", "x86"]),
    "resource": _field(
        "string", "Extended resource of the device plugin.", required=True,
        allowed=[Resource.ASCEND_910, Resource.NPU],
    ),
    "acceleratorType": _field(
        "string", "Node label accelerator-type, up to MindCluster 26.0.", required=True,
        allowed=list(limits.ACCELERATOR_TYPES),
    ),
    "schedulePolicy": _field(
        "string", "Value of huawei.com/schedule_policy.", required=True, allowed=list(limits.SCHEDULE_POLICIES)
    ),
    "superPod": _field("boolean", "Whether sp-block applies.", required=True),
    "mindcluster": _field(
        "string", "First MindCluster release that schedules it.", required=True,
        allowed=list(limits.MINDCLUSTER_RELEASES),
    ),
    "documented": _field("boolean", "Whether MindCluster documents StormService on it.", required=True),
    "kvPort": _whole("First port for KV transfer that the driver leaves free.", 1024, limits.PORT_MAX, required=True),
    "memoryGiB": _whole("On-chip memory per NPU.", 1, 1024),
}  # fmt: skip
