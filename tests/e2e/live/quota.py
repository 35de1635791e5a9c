"""A namespace in which nobody may have an NPU."""

from __future__ import annotations

from stormc.cluster.kinds import Kind
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually

QUOTA = Kind("ResourceQuota", "v1", "resourcequotas")
NAME = "npus"


def no_npus(live: LiveCluster, namespace: str) -> None:
    """Allows no further NPU in a namespace; pods that are there stay."""
    quota = {
        "apiVersion": "v1", "kind": QUOTA.name, "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"hard": {"requests.huawei.com/Ascend910": "0"}},
    }  # fmt: skip
    live.cluster.apply(QUOTA, namespace, quota, dry_run=False, force=True)
    eventually(lambda: (live.cluster.get(QUOTA, namespace, NAME) or {}).get("status", {}).get("hard"), "no quota")
