"""Every limit of the spec, once: checks, messages, the JSON Schema and the documentation take it from here."""

from __future__ import annotations

NAME_PATTERN = r"[a-z]([-a-z0-9]*[a-z0-9])?"
"""DNS-1035: the controller makes a headless Service of the same name (AIBrix stormservice/sync.go:73-113)."""
NAMESPACE_PATTERN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_BYTES = 63

POD_NAME_MAX = 63
"""A pod's name is its hostname (kubernetes pkg/apis/core/validation)."""
POD_NAME_SUFFIX = 17
"""What a pod's name has beside the app's name, role, hash and index: `-roleset-`, five characters, three dashes."""
GROUP_SUFFIX = 36
"""AIBrix from v0.6 on denies name + longest role with podGroupSize above 1 + 36 > 63 on create; watched."""

POD_GROUP_SIZE_MAX = 100
"""StormService CRD v0.5.0, roles[].podGroupSize 1…100."""
PODS_MAX = 4096
RANKS_MAX = 65_536
"""Engine pods and ranks of an app: as many nodes as clusters of NPUs have, and a rank on each of their NPUs."""
RETRIES_MAX = 100
"""MindCluster guide, table of fault-retry-times: 0…100."""
GRACE_SECONDS_MAX = 899
"""Volcano force-deletes after grace-over-time, 900 s by default (ascend-for-volcano plugin/factory.go:1012-1037)."""
SUPER_POD_NODES_MAX = 1024
SUPER_POD_NODES = 48
RESERVE_NODES = 2
"""Default super-pod-size of ascend-for-volcano's scheduler configuration, in nodes."""
PORT_MAX = 65535

MINDCLUSTER_RELEASES = ("7.3", "26.0", "26.1")
AIBRIX_RELEASES = ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")

SCHEDULE_POLICIES = (
    "chip8-node8", "chip8-node16", "chip2-node16", "chip2-node16-sp", "chip2-node8", "chip2-node8-sp", "chip4-node8",
    "chip4-node16", "chip1-node8", "chip1-node16", "chip8-node8-sp", "chip8-node8-ra64-sp", "chip1-node2",
    "chip4-node4", "multilevel", "module-a3-16",
)  # fmt: skip
"""Values of huawei.com/schedule_policy that have a handler (ascend-for-volcano internal/npu/factory.go:49-67)."""
POLICY_SINCE = {"multilevel": "26.2"}
"""The first MindCluster release of policies that came later than the oldest supported (ascend-for-volcano 8ca5f928)."""
ACCELERATOR_TYPES = (
    "module-910b-8", "module-910b-16", "module-a3-16", "module-a3-16-super-pod", "module-a3-8-super-pod", "card",
    "half", "module", "card-910b-2", "card-910b-infer", "350-Atlas-8", "350-Atlas-16", "350-Atlas-4p-8",
    "350-Atlas-4p-16", "850-Atlas-8p-8", "850-SuperPod-Atlas-8", "950-SuperPod-Atlas-8",
)  # fmt: skip
"""Node labels accelerator-type that have a handler (ascend-for-volcano internal/npu/factory.go:220-252)."""

EXTERNAL_RPC_PORT = 13389
"""Port of data-parallel coordination, where every rank is a process with a port (k8s-deploy-tool start_server.sh)."""
INTERNAL_RPC_PORTS = {"prefill": 13389, "decode": 5964}
"""The same behind one API server."""

# Kubernetes, Pod Security Standards, baseline: capabilities that a container may add.
CAPABILITIES = frozenset(["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
                          "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"])  # fmt: skip

SPEC_VERSION = "stormc.dev/v1"
SERVING_ROLES = ("prefill", "decode")
ROUTING = "routing"
CONNECTORS = ("MooncakeLayerwiseConnector", "MooncakeConnectorV1")
