"""Hardware facts and cluster facts, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts import limits
from stormc.facts.keys import Directory
from stormc.facts.kinds import IN_CLUSTER
from stormc.facts.scheduling import POLICY_SINCE
from stormc.load.releases import AIBrix, MindCluster, aibrix, mindcluster, version
from stormc.model.quantity import canonical
from stormc.record import NamedTuple, Record, field


class Profile(Record):
    """One product that carries NPUs. Its facts are data with a source each: facts/hardware/<name>.yaml."""

    name: str
    product: str
    npus: int
    pod_npus: tuple[int, ...]
    host_arch: str | None
    resource: str
    accelerator_type: str
    schedule_policy: str
    super_pod: bool
    mindcluster: str
    documented: bool
    kv_port: int
    memory_gib: int | None
    device_mounts: tuple[tuple[str, str], ...] = ((Directory.HCCN_CONF, "File"),)
    """Files and directories of the node that KV transfer needs, each with what must lie there."""
    kv_extra: Mapping[str, Any] = field(default_factory=dict)
    """What kv_connector_extra_config says on this product."""
    requests: Mapping[str, str] = field(default_factory=dict)
    """CPU and memory of the node that an engine pod requests per NPU, unless its role says it."""


class ArgoCD(NamedTuple):
    """Where Argo CD finds the rendered tree, and whose the Applications are."""

    repo_url: str
    project: str
    revision: str = "main"
    path: str = "rendered"
    namespace: str = "argocd"
    server: str = IN_CLUSTER
    destinations: tuple[str, ...] = ()


class Flux(NamedTuple):
    """Where Flux finds the rendered tree."""

    repo_url: str
    revision: str = "main"
    path: str = "rendered"
    namespace: str = "flux-system"
    secret: str | None = None
    service_account: str | None = None


class Gitops(NamedTuple):
    """The GitOps engines that apply the apps; usually one."""

    argocd: ArgoCD | None = None
    flux: Flux | None = None


class Platform(Record):
    """Facts of one cluster as the platform files above an app tell them, the nearest file first."""

    mindcluster: MindCluster = field(default_factory=lambda: mindcluster(limits.MINDCLUSTER_RELEASES[0]))
    aibrix: AIBrix = field(default_factory=lambda: aibrix(limits.AIBRIX_RELEASES[0]))
    namespace: str = "default"
    super_pod_size: int = limits.SUPER_POD_NODES
    reserve_nodes: int = limits.RESERVE_NODES
    inventory: Mapping[str, int] = field(default_factory=dict)
    gitops: Gitops = field(default_factory=Gitops)
    cluster_name: str = ""

    @property
    def cluster(self) -> str:
        """What tells the cluster from others: its name, else the API server that Argo CD deploys to; "" if unknown."""
        return self.cluster_name or (self.gitops.argocd.server if self.gitops.argocd else "")

    @property
    def labels_nodes(self) -> bool:
        """Whether nodes carry accelerator-type and host-arch, by which roles may then choose them."""
        return self.mindcluster.labels_nodes


def build_profile(data: Mapping[str, Any]) -> Profile:
    """The profile of a checked document."""
    optional: dict[str, Any] = {}
    if "deviceMounts" in data:
        optional["device_mounts"] = tuple((mount["path"], mount["type"]) for mount in data["deviceMounts"])
    needed = (data["mindcluster"], POLICY_SINCE.get(data["schedulePolicy"], "0"))
    return Profile(
        name=data["name"], product=data["product"], npus=data["npus"], pod_npus=tuple(data["podNpus"]),
        host_arch=data.get("hostArch"), resource=data["resource"], accelerator_type=data["acceleratorType"],
        schedule_policy=data["schedulePolicy"], super_pod=data["superPod"], mindcluster=max(needed, key=version),
        documented=data["documented"], kv_port=data["kvPort"], memory_gib=data.get("memoryGiB"),
        kv_extra=data.get("kvExtra", {}),
        requests={name: canonical(amount) for name, amount in data.get("requests", {}).items()}, **optional,
    )  # fmt: skip


def build_platform(data: Mapping[str, Any]) -> Platform:
    """The platform of checked and merged platform documents."""
    default = Platform()
    return Platform(
        mindcluster=mindcluster(data.get("mindcluster", limits.MINDCLUSTER_RELEASES[0])),
        aibrix=aibrix(data.get("aibrix", limits.AIBRIX_RELEASES[0])),
        namespace=data.get("namespace", default.namespace),
        super_pod_size=data.get("superPodSize", default.super_pod_size),
        reserve_nodes=data.get("reserveNodes", default.reserve_nodes),
        inventory={name: entry["nodes"] for name, entry in data.get("inventory", {}).items()},
        gitops=_gitops(data.get("gitops", {})),
        cluster_name=data.get("cluster", ""),
    )


def _gitops(data: Mapping[str, Any]) -> Gitops:
    argocd, flux = data.get("argocd"), data.get("flux")
    return Gitops(ArgoCD(**_renamed(argocd)) if argocd else None, Flux(**_renamed(flux)) if flux else None)


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    names = {"repoURL": "repo_url", "serviceAccount": "service_account"}
    return {names.get(k, k): tuple(value) if isinstance(value, list) else value for k, value in fields.items()}
