"""Which spec fields decide whether an object is rendered at all."""

from __future__ import annotations

from stormc.finding import Path
from stormc.model.app import App, Ref

ALWAYS: tuple[Path, ...] = ()


def existence(app: App, ref: Ref) -> tuple[Path, ...]:
    """The spec fields that decide whether the app has the object; none where every app has it."""
    if ref.kind == "PodDisruptionBudget" or ref == Ref("Service", app.router_peers):
        return (("routing", "replicas"),)
    if ref.kind == "NetworkPolicy":
        return (("networkPolicy",),)
    pod = next((pod for pod in app.serving_pods if ref == Ref("Service", pod.service)), None)
    if pod is None:
        return ALWAYS
    replicas: tuple[Path, ...] = ((pod.role, "replicas"),) if pod.replica else ()
    distributed: tuple[Path, ...] = ()
    if pod.pod_index:
        distributed = ((pod.role, "distributedDp"), (pod.role, "dataParallel"))
    return (*replicas, (pod.role, "podGroupSize"), *distributed)
