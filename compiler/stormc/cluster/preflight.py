"""Whether a cluster has what apps need: one check per prerequisite, each with what to do."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    CRD,
    DAEMON_SET,
    DEPLOYMENT,
    NODE,
    POD_GROUP,
    POD_SET,
    ROLE_SET,
    STORM_SERVICE,
    WEBHOOKS,
    Manifest,
)  # fmt: skip
from stormc.facts.keys import NodeLabel, Resource
from stormc.facts.limits import AIBRIX_RELEASES, MINDCLUSTER_RELEASES
from stormc.load.releases import mindcluster, version
from stormc.model.profile import Profile
from stormc.record import NamedTuple

NPU_RESOURCES = (Resource.ASCEND_910, Resource.NPU)
SCHEDULER, SCHEDULER_CONFIG, NPU_PLUGIN = "volcano-scheduler", "volcano-scheduler.conf", "volcano-npu"
"""The key of the scheduler's ConfigMap, and MindCluster's plugin there (ascend-for-volcano build/volcano-*.yaml)."""
DEVICE_INFO = "mindx-dl-deviceinfo-"  # mind-cluster component/ascend-device-plugin: one ConfigMap per node


KUSTOMIZE_CONTROLLER = "kustomize-controller"
CANCELS, CANCELS_FROM = "CancelHealthCheckOnNewRevision", "1.7"


class State(StrEnum):
    """How a prerequisite is met; a note is nothing that must be done."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"


class Check(NamedTuple):
    """One prerequisite, and what to do about it."""

    name: str
    state: State
    text: str


class Observed(NamedTuple):
    """The objects of a cluster that the checks look at; empty where it has none."""

    definitions: frozenset[str]
    workloads: tuple[Manifest, ...]
    nodes: tuple[Manifest, ...]
    webhooks: tuple[Manifest, ...]
    roles: tuple[Manifest, ...]
    device_infos: tuple[Manifest, ...]
    scheduler_configs: tuple[str, ...] = ()


def observe(cluster: Cluster) -> Observed:
    """Everything that the checks need. Raises Failure, naming the permission that is lacking."""
    workloads = (*(cluster.find(DEPLOYMENT, None) or ()), *(cluster.find(DAEMON_SET, None) or ()))
    return Observed(
        frozenset(item["metadata"]["name"] for item in cluster.find(CRD, None) or ()),
        workloads,
        tuple(cluster.find(NODE, None) or ()), tuple(cluster.find(WEBHOOKS, None) or ()),
        tuple(cluster.find(CLUSTER_ROLE, None) or ()),
        tuple(m for m in cluster.find(CONFIG_MAP, "kube-system") or () if _name(m).startswith(DEVICE_INFO)),
        tuple(_scheduler_configs(cluster, workloads)),
    )  # fmt: skip


def _scheduler_configs(cluster: Cluster, workloads: Iterable[Manifest]) -> Iterable[str]:
    """The configurations of Volcano's scheduler in the namespaces where it runs."""
    for namespace in {m["metadata"]["namespace"] for m in workloads if SCHEDULER in _name(m)}:
        for config_map in cluster.find(CONFIG_MAP, namespace) or ():
            yield from [text for key, text in (config_map.get("data") or {}).items() if key == SCHEDULER_CONFIG]


def checks(observed: Observed) -> list[Check]:
    """All checks, in the order in which the parts depend on each other."""
    return [
        *_definitions(observed),
        *_workloads(observed),
        *_npu_plugin(observed),
        *_nodes(observed),
        *_webhook(observed),
        *_rights(observed),
        *_flux(observed),
    ]


def platform_file(observed: Observed, profiles: Iterable[Profile]) -> str:
    """The text of a platform file with what was observed; anything else is left out and keeps its default.

    Several products share an accelerator-type; the inventory takes the one that MindCluster documents for
    StormService, and says which others it may be.
    """
    lines = ["# What stormc preflight found.", "apiVersion: stormc.dev/v1", "kind: Platform"]
    for key, known, part in (
        ("mindcluster", MINDCLUSTER_RELEASES, "clusterd"), ("aibrix", AIBRIX_RELEASES, "aibrix-controller-manager"),
    ):  # fmt: skip
        nearest = _nearest(_version(_workload(observed, part)), known)
        if nearest:
            lines.append(f"{key}: {nearest}" if nearest[0] == "v" else f'{key}: "{nearest}"')
    in_pods = Counter(super_pods(observed).values())
    if in_pods:
        lines.append(f"superPodSize: {max(in_pods.values())}")
    return "\n".join([*lines, *_inventory(observed, list(profiles))]) + "\n"


def _inventory(observed: Observed, profiles: list[Profile]) -> Iterator[str]:
    counts = Counter((_labels(node).get(NodeLabel.ACCELERATOR_TYPE, ""), _npus(node)) for node in _npu_nodes(observed))
    known: dict[str, tuple[int, list[str]]] = {}
    unknown = []
    for (label, npus), count in sorted(counts.items()):
        fits = sorted(
            (p for p in profiles if p.accelerator_type == label and p.npus == npus),
            key=lambda p: (not p.documented, version(p.mindcluster), p.name),
        )
        if fits:
            known[fits[0].name] = (count, [p.name for p in fits[1:]])
        else:
            type_text = f"accelerator-type {label}" if label else "no accelerator-type"
            unknown.append(f"# {count} nodes of {npus} NPUs with {type_text}")
    yield from ("inventory:",) if known else ()
    for name, (count, others) in known.items():
        if others:
            yield f"  # or {', '.join(others)}: they have the same accelerator-type"
        yield f"  {name}: {{nodes: {count}}}"
    yield from unknown


def super_pods(observed: Observed) -> dict[str, int]:
    """The super pod of every node whose device plugin reports one."""
    ids = {}
    for info in observed.device_infos:
        try:
            number = json.loads((info.get("data") or {}).get("DeviceInfoCfg", "{}")).get("SuperPodID", -1)
        except (ValueError, AttributeError):
            continue
        if isinstance(number, int) and number >= 0:
            ids[info["metadata"]["name"].removeprefix(DEVICE_INFO)] = number
    return ids


def _definitions(observed: Observed) -> Iterable[Check]:
    for kind in (STORM_SERVICE, ROLE_SET, POD_SET, POD_GROUP):
        there, source = kind.resource in observed.definitions, "Volcano" if kind is POD_GROUP else "AIBrix"
        yield Check(
            kind.resource, State.OK if there else State.MISSING,
            "installed" if there else f"install {source}; its definitions with kubectl apply --server-side",
        )  # fmt: skip


def _workloads(observed: Observed) -> Iterable[Check]:
    for part, without in (
        ("aibrix-controller-manager", f"StormServices stay without pods; install AIBrix {AIBRIX_RELEASES[0]} or newer"),
        ("volcano-scheduler", "NPU pods stay Pending; install Volcano with ascend-for-volcano"),
        ("volcano-controllers", "there are no PodGroups, so no gangs; install Volcano with ascend-for-volcano"),
        ("device-plugin", "nodes show no NPUs; install Ascend Device Plugin"),
        (
            "clusterd",
            "faults are not gathered, so nothing is rescheduled, and nobody replaces a failed pod of an instance "
            "of several pods; install ClusterD",
        ),
        ("noded", "optional: without it faults of CPU, memory and disks go unseen"),
    ):
        workload = _workload(observed, part)
        if workload is None:
            yield Check(part, State.NOTE if part == "noded" else State.MISSING, without)
            continue
        status, version = workload.get("status") or {}, _version(workload) or "of unknown version"
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        place = f"{workload['metadata']['namespace']}/{workload['metadata']['name']} {version}"
        text = place if ready else f"{place} has no ready pod; look at its logs"
        yield Check(part, State.OK if ready else State.MISSING, text)


def _npu_plugin(observed: Observed) -> Iterable[Check]:
    """Whether Volcano is MindCluster's: plain Volcano bound one of two pods of a gang (watched, Volcano 1.10)."""
    if _workload(observed, SCHEDULER) is None:
        return
    words = (word.strip("'\"") for text in observed.scheduler_configs for word in text.split())
    plugins = [word for word in words if word.startswith(NPU_PLUGIN)]
    if plugins:
        yield Check("ascend-for-volcano", State.OK, f"{plugins[0]} is among the plugins of {SCHEDULER}")
    elif observed.scheduler_configs:
        text = (
            "this is plain Volcano: it binds parts of a gang, knows no topology of NPUs and replaces no failed pod of "
            "an instance of several pods; install MindCluster's ascend-for-volcano"
        )
        yield Check("ascend-for-volcano", State.MISSING, text)
    else:
        yield Check(
            "ascend-for-volcano", State.NOTE, f"no ConfigMap with {SCHEDULER_CONFIG}: look at the scheduler's plugins"
        )


def _nodes(observed: Observed) -> Iterable[Check]:
    nodes = _npu_nodes(observed)
    total = sum(_npus(node) for node in nodes)
    text = f"{total} on {len(nodes)} nodes"
    yield Check(
        "NPUs", State.OK if total else State.MISSING, text if total else "no node offers any; see the device plugin"
    )
    if not nodes:
        return
    release = _nearest(_version(_workload(observed, "clusterd")), MINDCLUSTER_RELEASES) or MINDCLUSTER_RELEASES[0]
    needed = {NodeLabel.ACCELERATOR_TYPE, NodeLabel.HOST_ARCH}
    bare = [n["metadata"]["name"] for n in nodes if not needed <= _labels(n).keys()]
    if not mindcluster(release).labels_nodes:
        yield Check("node labels", State.OK, f"MindCluster {release} places by schedule_policy; none are needed")
    elif bare:
        command = f"kubectl label node {bare[0]} accelerator-type=… host-arch=…"
        yield Check("node labels", State.MISSING, f"{command} ({len(bare)} nodes)")
    else:
        yield Check("node labels", State.OK, "accelerator-type and host-arch on every NPU node")
    pods = super_pods(observed)
    text = f"{len(pods)} nodes in {len(set(pods.values()))} super pods" if pods else "no node reports one; fine for A2"
    yield Check("super pods", State.OK if pods else State.NOTE, text)


def _webhook(observed: Observed) -> Iterable[Check]:
    rules = (
        rule for configuration in observed.webhooks for hook in configuration.get("webhooks") or ()
        for rule in hook.get("rules") or ()
    )  # fmt: skip
    there = any(STORM_SERVICE.plural in (rule.get("resources") or ()) for rule in rules)
    text = "present; rendered files are in the form it gives" if there else "absent, as in AIBrix's chart"
    yield Check("AIBrix webhook", State.OK if there else State.NOTE, text)


def _rights(observed: Observed) -> Iterable[Check]:
    allowed = any(
        POD_GROUP.plural in (rule.get("resources") or ())
        for role in observed.roles if "aibrix" in role["metadata"]["name"] for rule in role.get("rules") or ()
    )  # fmt: skip
    text = "granted" if allowed else "absent, as in AIBrix's chart; only schedulingStrategy needs it"
    yield Check("AIBrix's right to podgroups", State.OK if allowed else State.NOTE, text)


def _flux(observed: Observed) -> Iterable[Check]:
    """Whether Flux, where it is there, lets go of an app that waits for its pods when a commit comes.

    The gate is off by default, and kustomize-controller has it from 1.7 on (its CHANGELOG, and main.go).
    """
    workload = _workload(observed, KUSTOMIZE_CONTROLLER)
    if workload is None:
        return
    running = _version(workload)
    old = bool(running) and version(running.lstrip("v")) < version(CANCELS_FROM)
    words = [word for container in _containers(workload) for word in container.get("args") or ()]
    gates = ",".join(word.partition("=")[2] for word in words if word.startswith("--feature-gates=")).split(",")
    if old:
        text = f"{running} waits for pods for up to hours and applies no commit meanwhile; update it to {CANCELS_FROM}"
        yield Check(KUSTOMIZE_CONTROLLER, State.MISSING, text)
    elif f"{CANCELS}=true" not in gates:
        yield Check(KUSTOMIZE_CONTROLLER, State.MISSING, f"add --feature-gates={CANCELS}=true; see docs/gitops.md")
    else:
        yield Check(KUSTOMIZE_CONTROLLER, State.OK, f"{running or 'of unknown version'}, {CANCELS}")


def _containers(workload: Manifest | None) -> list[Mapping[str, Any]]:
    template = ((workload or {}).get("spec") or {}).get("template") or {}
    return list((template.get("spec") or {}).get("containers") or ())


def _workload(observed: Observed, part: str) -> Manifest | None:
    return next((w for w in observed.workloads if part in w["metadata"]["name"]), None)


def _version(workload: Manifest | None) -> str:
    images = [str(one.get("image", "")).partition("@")[0].rpartition("/")[2] for one in _containers(workload)]
    tags = [image.partition(":")[2] for image in images]
    return next((tag for tag in tags if re.match(r"v?\d+\.\d+", tag)), "")


def _nearest(running: str, known: tuple[str, ...]) -> str:
    """The newest known release that is not newer than what runs."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", running)
    older = [release for release in known if match and version(release) <= version(match[1])]
    return max(older, key=version, default="")


def _npu_nodes(observed: Observed) -> list[Manifest]:
    return [node for node in observed.nodes if _npus(node)]


def _npus(node: Manifest) -> int:
    capacity = (node.get("status") or {}).get("capacity") or {}
    return sum(int(capacity.get(resource, 0)) for resource in NPU_RESOURCES)


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])


def _labels(node: Manifest) -> dict[str, str]:
    return dict(node["metadata"].get("labels") or {})
