"""A Service per serving pod, the Service for clients, and how many routing pods an eviction leaves.

Names of pods hold a random suffix, so every serving pod gets a ClusterIP Service over AIBrix's stable labels and the
proxy addresses those.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import ROUTING, App, Ref, ServingPod
from stormc.model.profile import Platform
from stormc.passes.edit import Edit

# AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47; the ones without a random part.
REPLICA_LABEL = "stormservice.orchestration.aibrix.ai/role-replica-index"
POD_LABEL = "stormservice.orchestration.aibrix.ai/pod-group-index"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The Services of an app, and the disruption budget of its routing pods."""
    for pod in app.serving_pods:
        yield from _service(pod.service, _selector(app, pod), [(f"rank-{k}", p) for k, p in enumerate(pod.ports)])
    yield from _service(app.router_service, app.role_labels(ROUTING), [("http", app.proxy["port"])])
    yield from _budget(app)


def _selector(app: App, pod: ServingPod) -> dict[str, str]:
    selector = {**app.role_labels(pod.role), REPLICA_LABEL: str(pod.replica)}
    if pod.pod_index is not None:
        selector[POD_LABEL] = str(pod.pod_index)
    return selector


def _service(name: str, selector: dict[str, str], ports: list[tuple[str, int]]) -> Iterator[Edit]:
    ref = Ref("Service", name)
    yield Edit(ref, ("spec", "type"), "ClusterIP", "clients stay in the cluster")
    yield Edit(ref, ("spec", "selector"), selector, "AIBrix's stable pod labels")
    for port_name, port in ports:
        entry = {"name": port_name, "port": port, "protocol": "TCP", "targetPort": port}
        yield Edit(ref, ("spec", "ports", (port, "TCP")), entry, "port + local rank")


def _budget(app: App) -> Iterator[Edit]:
    """Voluntary evictions leave all routing pods but one.

    RoleSet has no scale subresource that the disruption controller knows, so only a whole `minAvailable` works.
    """
    if app.routing.replicas > 1:
        ref = Ref("PodDisruptionBudget", app.router_service)
        yield Edit(ref, ("spec", "minAvailable"), app.routing.replicas - 1, "routing.replicas")
        yield Edit(ref, ("spec", "selector", "matchLabels"), app.role_labels(ROUTING), "AIBrix's stable pod labels")
