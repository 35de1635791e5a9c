"""The spec's Cerberus schema: the single source of types, defaults and ranges.

Split into sections because Cerberus spends most of its time building and hashing validators for nested schemas:
one validator per section, built once, is ten times faster. `meta` entries document a field for editors.
"""

from __future__ import annotations

from stormc.facts import keys, limits, scheduling
from stormc.facts.keys import Resource
from stormc.model.forms import (
    ABSOLUTE_PATH,
    CONNECTOR,
    DATE,
    DNS_SUBDOMAIN,
    MODEL_NAME,
    RELEASE,
    TARGET,
    Schema,
    field,
    whole,
)
from stormc.model.gitops_fields import GITOPS
from stormc.model.pod_fields import ENGINE_POD_FIELDS, ENVIRONMENT, FLAGS, IMAGE_FIELDS, POD_FIELDS, RESOURCES, SHARED
from stormc.model.policy_fields import POLICY
from stormc.model.proxy_fields import PROXY

APP: Schema = {
    "apiVersion": field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": field("string", "What this file describes.", required=True, allowed=["App"]),
    "name": field(
        "string", "Name of the service and of its StormService, a DNS-1035 label.",
        required=True, regex=limits.NAME_PATTERN, maxlength=limits.LABEL_BYTES,
    ),
    "namespace": field(
        "string", "Namespace; default: the platform's.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES
    ),
    "model": field("dict", "The model that is served.", required=True),
    **IMAGE_FIELDS,
    "image": {**IMAGE_FIELDS["image"], "required": True},
    "imagePullSecrets": field(
        "list", "Secrets that hold registry credentials.", default=[],
        schema={"type": "string", "regex": DNS_SUBDOMAIN, "maxlength": 253},
    ),
    "hardware": field("string", "Hardware profile of the NPU nodes.", required=True),
    "hostArch": field("string", "CPU architecture of the nodes; default: the profile's.", allowed=["arm", "x86"]),
    "port": whole("First engine port; rank k of a pod listens on port + k.", 1024, limits.PORT_MAX, default=8080),
    "kvTransfer": field("dict", "How KV cache moves from prefill to decode.", default={}),
    "expertParallel": field("boolean", "Shard the experts of a MoE model over the ranks.", default=False),
    "prefill": field("dict", "The prefill role.", required=True),
    "decode": field("dict", "The decode role.", required=True),
    "routing": field("dict", "The routing role: the proxy.", default={}),
    "faults": field("dict", "What happens when a chip, a node or a process fails.", default={}),
    "engine": field("dict", "How the engine containers start.", default={}),
    "proxy": field("dict", "Settings of the routing proxy.", default={}),
    **SHARED,
    "networkPolicy": field(
        "boolean", "Let only routing pods reach the engines, and only decode pods the metaserver.", default=False
    ),
    "gateway": field(
        "string", "Which pods carry the model.aibrix.ai labels that AIBrix's gateway discovers; default: roles where "
        "every pod answers HTTP, else off.", allowed=["roles", "router", "off"],
    ),
    "overrides": field("list", "The escape hatch: patches of the rendered objects.", default=[]),
}  # fmt: skip

MODEL: Schema = {
    "name": field("string", "Name that clients send as `model`.", required=True, regex=MODEL_NAME),
    "path": field("string", "Directory of the weights inside the pod.", required=True, regex=ABSOLUTE_PATH),
    "volume": field(
        "dict", "Where the weights come from; default: the host directory above model.path.",
        schema={
            "hostPath": field(
                "string", "Directory on every node.", regex=ABSOLUTE_PATH, excludes="persistentVolumeClaim"
            ),
            "persistentVolumeClaim": field(
                "string", "Claim in the app's namespace.", regex=limits.NAMESPACE_PATTERN, excludes="hostPath"
            ),
        },
        minlength=1,
    ),
    "moe": field(
        "boolean", "Whether it is a mixture-of-experts model (true) or dense; default: true with expertParallel."
    ),
}  # fmt: skip

ROLE: Schema = {
    "replicas": whole("Instances of the role.", 1, 1000, default=1),
    "podGroupSize": whole("Pods per instance.", 1, limits.POD_GROUP_SIZE_MAX, default=1),
    "dataParallel": whole("Data-parallel ranks per instance.", 1, 4096, default=1),
    "tensorParallel": whole("Tensor-parallel NPUs per rank.", 1, 1024, default=1),
    "distributedDp": field(
        "boolean", "One process and one port per data-parallel rank; default: true when dataParallel > 1.",
        default_setter="distributed_dp",
    ),
    "pipelineParallel": whole("Pipeline stages per rank; prefill only.", 1, 1024),
    "prefillContextParallel": whole("Ranks that share the prefill of a long prompt.", 1, 1024),
    "decodeContextParallel": whole("Tensor-parallel NPUs that share the KV cache of a request.", 1, 1024),
    "port": whole("First engine port of this role; default: the app's.", 1024, limits.PORT_MAX),
    "kvPort": whole("First KV port of this role; default: kvTransfer.port.", 1024, limits.PORT_MAX),
    "npus": whole("NPUs per pod; default: all of a node.", 1, 64),
    "allowPartialNode": field("boolean", "Allow pods that take only a part of a node.", default=False),
    "spBlock": whole("NPUs per logical super pod; super-pod profiles only.", 1, 65536),
    "minAvailable": whole("Pods that must be schedulable at once; default: computed.", 1, 100_000),
    "engineArgs": field(
        "dict", "vLLM flags without `--`; null removes one, false passes its negation.", default={}, **FLAGS
    ),
    **ENGINE_POD_FIELDS,
    **POD_FIELDS,
}  # fmt: skip

ROUTING: Schema = {
    "replicas": whole("Routing pods.", 1, 100, default=1),
    **POD_FIELDS,
    "resources": {**RESOURCES, "default": {"cpu": "1", "memory": "1Gi"}},
}

KV_TRANSFER: Schema = {
    "connector": field(
        "string", "vLLM KV connector between the roles; it decides the proxy's protocol too. `stormc engines` lists "
        "those of each release.", regex=CONNECTOR,
    ),
    "port": whole("First KV port of a pod; default: the profile's.", 1024, limits.PORT_MAX),
    "extra": field(
        "dict", "Further keys of the KV-transfer config, such as use_ascend_direct or kv_buffer_device.",
        keysrules={"type": "string", "minlength": 1},
    ),
    "pool": field(
        "dict", "A second connector that keeps KV cache in a pool; both then stand in a MultiConnector.",
        schema={
            "connector": field("string", "Its name, such as AscendStoreConnector.", required=True, minlength=1),
            "extra": field("dict", "Its kv_connector_extra_config.", keysrules={"type": "string", "minlength": 1}),
        },
    ),
}  # fmt: skip

FAULTS: Schema = {
    "scheduling": field(
        "string",
        "How Volcano deletes the pods of a faulty instance.",
        allowed=list(keys.FAULT_SCHEDULING_VALUES),
        default="force",
    ),
    "retries": whole("Reschedules after a process failure; 0 turns them off.", 0, limits.RETRIES_MAX, default=10),
    "subHealthy": field(
        "string", "What happens on a sub-healthy chip.", allowed=list(keys.SUB_HEALTHY_VALUES), default="ignore"
    ),
    "gracePeriodSeconds": whole("Seconds to finish requests, with scheduling grace.", 1, limits.GRACE_SECONDS_MAX),
}

ENGINE: Schema = {
    "version": field(
        ["string", "float"], "Release line of vllm-ascend, such as 0.23; default: that of the image's tag.",
        regex=RELEASE,
    ),
    "args": field("dict", "vLLM flags of both roles, as engineArgs; a role's own win.", **FLAGS),
    "env": field("dict", "Environment of both engine roles; a role's own variables win.", **ENVIRONMENT),
    "startupSeconds": whole(
        "Seconds in which a pod may load the model before it counts as failed.", 60, 86400, default=1800
    ),
    "loadMinutes": whole("Minutes that a pod was seen to take until it answers, for stormc diff alone.", 1, 1440),
    "command": field(
        "list", "The container's command instead of stormc's launcher; the vLLM flags are not passed to it.",
        schema={"type": "string", "minlength": 1}, minlength=1, excludes="script",
    ),
    "script": field(
        "dict", "A start script on the nodes instead of the launcher, with the environment of the k8s-deploy-tool.",
        schema={
            "hostPath": field(
                "string", "Directory on every node, mounted at the same path.", required=True, regex=ABSOLUTE_PATH
            ),
            "command": field("string", "Shell command, run in that directory.", required=True, minlength=1),
        },
        excludes="command",
    ),
}  # fmt: skip

OVERRIDE: Schema = {
    "target": field(
        "string", "Kind, or kind/name, of the objects to patch.", required=True,
        regex=TARGET,
    ),
    "patch": field("dict", "Strategic merge patch; null removes a field.", required=True, minlength=1),
    "reason": field("string", "Why the spec cannot say it.", required=True, minlength=1),
    "owner": field("string", "Who answers for it.", required=True, minlength=1),
    "expires": field("string", "Day from which the override is reported, YYYY-MM-DD.", regex=DATE),
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

PLATFORM: Schema = {
    "apiVersion": field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": field("string", "What this file describes.", required=True, allowed=["Platform"]),
    "stormc": field("string", "Versions of stormc that may render the apps here, such as >=0.2,<0.3."),
    "mindcluster": field(
        "string", "MindCluster release of the cluster.", allowed=list(limits.MINDCLUSTER_RELEASES)
    ),
    "aibrix": field("string", "AIBrix release of the cluster.", allowed=list(limits.AIBRIX_RELEASES)),
    "cluster": field(
        "string", "Name of the cluster; apps of different clusters may share namespace and name.",
        regex=DNS_SUBDOMAIN, maxlength=253,
    ),
    "namespace": field(
        "string", "Namespace of apps that name none.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES
    ),
    "superPodSize": whole("Nodes per super pod, as the scheduler is configured.", 1, limits.SUPER_POD_NODES_MAX),
    "reserveNodes": whole(
        "Nodes per super pod that the scheduler keeps free, as it is configured.", 0, limits.SUPER_POD_NODES_MAX
    ),
    "inventory": field(
        "dict", "NPU nodes per hardware profile.", keysrules={"type": "string"},
        valuesrules={"type": "dict", "schema": {
            "nodes": whole("Nodes of this profile in the cluster.", 0, 10**6, required=True),
        }},
    ),
    "defaults": field("dict", "App fields for the apps below this directory."),
    "gitops": field("dict", "Wiring by which an engine syncs the apps below this directory.", schema=GITOPS),
    "policy": field("dict", "What the apps and platform files below this directory may do.", schema=POLICY),
}  # fmt: skip
NOT_IN_DEFAULTS = ("apiVersion", "kind", "name", "overrides")

PROFILE: Schema = {
    "apiVersion": field("string", "Version of the spec format.", required=True, allowed=[limits.SPEC_VERSION]),
    "kind": field("string", "What this file describes.", required=True, allowed=["Profile"]),
    "name": field("string", "Name that specs use; the file's name.", required=True, regex=limits.NAMESPACE_PATTERN),
    "product": field("string", "Product name of the vendor.", required=True, minlength=1),
    "npus": whole("NPUs per node, in units of the resource.", 1, 64, required=True),
    "podNpus": field(
        "list", "NPU counts per pod that the scheduler's handler accepts.", required=True, minlength=1,
        schema={"type": "integer", "min": 1, "max": 64},
    ),
    "hostArch": field("string", "CPU architecture of the nodes.", allowed=["arm", "x86"]),
    "resource": field(
        "string", "Extended resource of the device plugin.", required=True,
        allowed=[Resource.ASCEND_910, Resource.NPU],
    ),
    "acceleratorType": field(
        "string", "Node label accelerator-type, up to MindCluster 26.0.", required=True,
        allowed=list(scheduling.ACCELERATOR_TYPES),
    ),
    "schedulePolicy": field(
        "string", "Value of huawei.com/schedule_policy.", required=True, allowed=list(scheduling.SCHEDULE_POLICIES)
    ),
    "superPod": field("boolean", "Whether sp-block applies.", required=True),
    "mindcluster": field(
        "string", "First MindCluster release that schedules it.", required=True,
        allowed=list(limits.MINDCLUSTER_RELEASES),
    ),
    "documented": field("boolean", "Whether MindCluster documents StormService on it.", required=True),
    "kvPort": whole("First port for KV transfer that the driver leaves free.", 1024, limits.PORT_MAX, required=True),
    "memoryGiB": whole("On-chip memory per NPU.", 1, 1024),
    "requests": {
        **RESOURCES,
        "meta": {"description": "What an engine pod requests per NPU where its role has no resources."},
    },
    "deviceMounts": field(
        "list", "Files and directories of the node that KV transfer needs; default: /etc/hccn.conf.",
        schema={"type": "dict", "schema": {
            "path": field("string", "Path on the node and in the pod.", required=True, regex=ABSOLUTE_PATH),
            "type": field("string", "What must lie there.", required=True, allowed=["File", "Directory"]),
        }},
    ),
    "kvExtra": field("dict", "Keys of kv_connector_extra_config on this product."),
}  # fmt: skip
