"""Where the pods of an app run, and before whom: nodes, taints, priority, queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import HUAWEI_PREFIX, Annotation, Env, NodeLabel
from stormc.finding import Path
from stormc.model.app import ROUTING
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Breach
from stormc.policy.concerns import NODE, NPUS, PRIORITY, QUEUE
from stormc.policy.pods import Pod
from stormc.targets.storm_service import ROLES

CONTROL_PLANE = (
    "node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/etcd",
    "node-role.kubernetes.io/infra", "node-role.kubernetes.io/controlplane", "masterselector",
)  # fmt: skip
"""Labels and taints of nodes that run the cluster itself; MindCluster's own is masterselector."""
RUNTIME_VARIABLES = (
    Env.VISIBLE_DEVICES, "ASCEND_RUNTIME_OPTIONS", "ASCEND_RUNTIME_MOUNTS", "ASCEND_ALLOW_LINK",
    "ASCEND_VNPU_SPECS", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
)  # fmt: skip
"""Variables that Ascend Docker Runtime, and NVIDIA's, obey before the container starts (MindCluster, Ascend Docker)."""
_ROLE_LABEL = "kubernetes.io/role"
ONE_NODE = (NodeLabel.HOSTNAME, "metadata.name")
"""What tells one node from all others."""
SICK = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints that Kubernetes puts on nodes that are not ready, unreachable, full, cordoned or going away."""
A_WHILE = 3600
"""Seconds for which a pod may stay on such a node; Kubernetes itself gives every pod 300."""


def nodes(pod: Pod) -> Iterator[Breach]:
    """Nodes of the control plane, and one node by its name."""
    if pod.spec.get("nodeName"):
        message = phrase(
            "pods of {role} ask for node {node_name} by its name", role=pod.role, node_name=pod.spec["nodeName"]
        )
        hint = phrase("remove it: the scheduler is passed by")
        yield from pod.case.breach(NODE, pod.at(("nodeName",)), message, hint)
    for key, value in (pod.spec.get("nodeSelector") or {}).items():
        path = pod.at(("nodeSelector", key), (pod.role, "nodeSelector", key))
        yield from _node(pod, path, key, [value])
    affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    terms = [*(required.get("nodeSelectorTerms") or ()), *(each.get("preference") or {} for each in preferred)]
    for term in terms:
        for entry in (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())):
            if entry.get("operator") in ("In", "Exists", "Gt", "Lt"):
                path = pod.at(("affinity",), (pod.role,))
                yield from _node(pod, path, str(entry.get("key")), entry.get("values") or [])


def _node(pod: Pod, path: Path, key: str, values: list[Any]) -> Iterator[Breach]:
    if key in CONTROL_PLANE or (key == _ROLE_LABEL and "master" in values):
        message = phrase("pods of {role} ask for nodes of the control plane", role=pod.role)
        yield from pod.case.breach(NODE, path, message, phrase("remove it"))
    elif key in ONE_NODE and values:
        message = phrase("pods of {role} ask for node {node_name} by its name", role=pod.role, node_name=values[0])
        yield from pod.case.breach(NODE, path, message, phrase("ask for a label that several nodes have"))


def neighbours(pod: Pod) -> Iterator[Breach]:
    """Pods of others that must be on the same nodes, or must not be: such a rule holds against those pods, too."""
    affinity = pod.spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for term in terms:
            selector = term.get("labelSelector") or {}
            everybody = not (selector.get("matchLabels") or selector.get("matchExpressions"))
            if everybody or "namespaceSelector" in term or term.get("namespaces"):
                message = phrase("{role} chooses nodes by the pods of others: {kind}", role=pod.role, kind=kind)
                path = pod.at(("affinity",), (pod.role,))
                yield from pod.case.breach(NODE, path, message, phrase("select the pods of this app by their labels"))


def taints(pod: Pod) -> Iterator[Breach]:
    """Taints that pods tolerate. Kubernetes itself lets every pod tolerate sick nodes for some minutes."""
    for index, toleration in enumerate(pod.spec.get("tolerations") or ()):
        key = toleration.get("key") or ""
        path = pod.at(("tolerations",), (pod.role, "tolerations", index))
        seconds = toleration.get("tolerationSeconds")
        sick = key.startswith(SICK) and (seconds is None or seconds > A_WHILE)
        taint: Phrase = phrase("taint {key}", key=key) if key else phrase("every taint")
        yield from pod.case.breach(
            NODE, path, phrase("{role} tolerates {value}", role=pod.role, value=taint),
            phrase("name the taint of the NPU nodes"), key="tolerations", value=key,
            unusual=not key or key in CONTROL_PLANE or sick,
        )  # fmt: skip


def priority(pod: Pod) -> Iterator[Breach]:
    """The priority class, and the number that only admission may write."""
    name, number = pod.spec.get("priorityClassName"), pod.spec.get("priority")
    if name:
        path = pod.at(("priorityClassName",), (pod.role, "priorityClassName"))
        yield from pod.case.breach(
            PRIORITY, path, phrase("pods of {role} have priority class {priority}", role=pod.role, priority=name),
            phrase("choose another one"), key="priorityClasses", value=name, unusual=name.startswith("system-"),
        )  # fmt: skip
    if number is not None:
        message = phrase("pods of {role} have priority {number}", role=pod.role, number=number)
        yield from pod.case.breach(
            PRIORITY, pod.at(("priority",)), message, phrase("use priorityClassName"), key="priorityClasses",
            value=str(number),
        )  # fmt: skip


def queue(pod: Pod) -> Iterator[Breach]:
    """The Volcano queue. Without a policy one is the app's own that is named as its namespace or its directory."""
    metadata = pod.template.get("metadata") or {}
    table = next((t for t in ("annotations", "labels") if Annotation.QUEUE_NAME in (metadata.get(t) or {})), None)
    if table is None:
        return
    name = str(metadata[table][Annotation.QUEUE_NAME])
    base: Path = (*ROLES, pod.number, "template", "metadata", table, Annotation.QUEUE_NAME)
    field: Path = (pod.role, "queue") if table == "annotations" else (pod.role,)
    yield from pod.case.breach(
        QUEUE, pod.case.wrote(pod.storm, base, field, len(base)),
        phrase("pods of {role} wait in queue {queue}", role=pod.role, queue=name),
        phrase("name it as the namespace or app, or list it below policy: queues in a platform file"),
        key="queues", value=name, unusual=name != "default" and not pod.case.is_own(name),
    )  # fmt: skip


def npus(pod: Pod) -> Iterator[Breach]:
    """Devices that a container other than the engine's takes: no sum counts them."""
    for at, container in pod.containers:
        resources = container.get("resources") or {}
        for field in ("limits", "requests"):
            for name in resources.get(field) or {}:
                counted = pod.role != ROUTING and pod.own(at, container) and name.startswith(HUAWEI_PREFIX)
                if "/" in name and not counted and pod.patched((*at, "resources", field, name)):
                    message = phrase(
                        "container {name} takes {device}, which nobody counts", name=container.get("name"), device=name
                    )
                    yield from _uncounted(pod, pod.at((*at, "resources")), message)


def devices(pod: Pod) -> Iterator[Breach]:
    """Variables by which the container runtime gives devices or directories of the node, which nobody counts."""
    for at, container in pod.containers:
        for index, entry in enumerate(container.get("env") or ()):
            name = str(entry.get("name"))
            counted = name == Env.VISIBLE_DEVICES and "valueFrom" in entry and pod.role != ROUTING
            if name in RUNTIME_VARIABLES and not counted and entry.get("value") not in ("", "none", "void"):
                path = pod.at((*at, "env", index), pod.case.env_path(pod.role, name))
                message = phrase("variable {name} of {role} asks the runtime for devices", name=name, role=pod.role)
                yield from _uncounted(pod, path, message)


def _uncounted(pod: Pod, path: Path, message: Phrase) -> Iterator[Breach]:
    limited = next((number for number, _ in pod.case.policy.values("maxNpus")), None)
    if limited is not None:
        yield Breach(NPUS.forbidden.id, path, message, phrase("remove it"), limited)
    else:
        yield from pod.case.breach(NPUS, path, message, phrase("remove it"))
