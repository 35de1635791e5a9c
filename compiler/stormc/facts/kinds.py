"""The kinds of objects, the API version of each, and by which fields the items of their lists are told apart."""

from __future__ import annotations

ORCHESTRATION = "orchestration.aibrix.ai"
SCHEDULING = "scheduling.volcano.sh"

API_VERSIONS = {
    "StormService": f"{ORCHESTRATION}/v1alpha1",
    "Service": "v1",
    "ConfigMap": "v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
"""What an app is rendered to."""
MADE_BY_CONTROLLERS = {
    "RoleSet": f"{ORCHESTRATION}/v1alpha1",
    "PodSet": f"{ORCHESTRATION}/v1alpha1",
    "PodGroup": f"{SCHEDULING}/v1beta1",
}
"""What AIBrix and Volcano make of a StormService (AIBrix v0.5.0 api/orchestration/v1alpha1; volcano.sh/apis)."""
ARGOCD = "argoproj.io/v1alpha1"
IN_CLUSTER = "https://kubernetes.default.svc"
"""What Argo CD calls the API server of its own cluster (argo-cd common/common.go KubernetesInternalAPIServerAddr)."""
FLUX_SOURCE = "source.toolkit.fluxcd.io/v1"
FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
KUSTOMIZE = "kustomize.config.k8s.io/v1beta1"

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "roles": ("name",),
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
}
"""Kubernetes' merge keys of the lists that we write; StormService's roles are atomic, but names identify them."""
PORT_KEYS = {"Service": ("port", "protocol")}
"""A Service's ports merge by port and protocol, a container's by containerPort and protocol."""


def merge_key(kind: str, field: str) -> tuple[str, ...] | None:
    """The fields that tell the items of a list apart, or None where the list is one value."""
    if field == "ports":
        return PORT_KEYS.get(kind, ("containerPort", "protocol"))
    return MERGE_KEYS.get(field)
