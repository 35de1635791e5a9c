"""The limits of the spec format and the words that it is made of, once.

Checks, messages, the JSON Schema and the documentation take them from here.
"""

from __future__ import annotations

NAME_PATTERN = r"[a-z]([-a-z0-9]*[a-z0-9])?"
"""DNS-1035: the controller makes a headless Service of the same name (AIBrix stormservice/sync.go:73-113)."""
NAMESPACE_PATTERN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_BYTES = 63
"""Of a label's value (kubernetes apimachinery pkg/util/validation)."""

POD_NAME_MAX = 63
"""A pod's name is its hostname (kubernetes pkg/apis/core/validation)."""
POD_NAME_SUFFIX = 17
"""Characters of a pod's name that are not app, role, hash or index: `-roleset-`, five random ones, three dashes."""
GROUP_SUFFIX = 36
"""AIBrix from v0.6 on refuses to create a StormService where name + longest role of several pods + 36 exceeds 63."""

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
"""Nodes of a super pod: the default of super-pod-size in ascend-for-volcano's scheduler configuration."""
RESERVE_NODES = 2
"""Nodes of a super pod that the scheduler keeps free: the default of reserve-nodes, in the same place."""
PORT_MAX = 65535

MINDCLUSTER_RELEASES = ("7.3", "26.0", "26.1")
AIBRIX_RELEASES = ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")
"""The releases that a platform file may name, oldest first; each has its facts in facts/releases/."""
NEWEST_STABLE_ENGINE = "0.23"
"""The newest release line of vllm-ascend that is stable; the lines after it have release candidates only."""

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
