"""A Service per serving pod, the Service for clients, and how many routing pods an eviction leaves.

Names of pods hold a random suffix, so every serving pod gets a ClusterIP Service over AIBrix's stable labels and the
proxy addresses those.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.facts.limits import SERVING_ROLES
from stormc.model.app import ROUTING, App, Ref
from stormc.model.profile import Platform
from stormc.passes.because import LOCAL_RANKS, Reason, fact, of
from stormc.passes.edit import Edit
from stormc.targets.storm_service import pod_labels

STABLE = "AIBrix v0.5.0 pkg/controller/constants/stormservice.go"
IN_CLUSTER = fact("kubernetes", "core/v1 Service: clients stay in the cluster")
SELECTED: Reason = {(): fact("aibrix", STABLE), (Label.STORM_SERVICE,): of(("name",))}
FIRST_PORT = {role: of((role, "port")) for role in SERVING_ROLES}
FURTHER_PORT = {
    role: of((role, "port"), exists_if=tuple((role, field) for field in LOCAL_RANKS)) for role in SERVING_ROLES
}
CLIENT_PORT = of(("proxy", "port"))
PEERS = fact("proxy", "docs/proxy.md: routing pods tell each other their loads")
BUDGET = of(("routing", "replicas"))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The Services of an app, and the disruption budget of its routing pods."""
    for pod in app.serving_pods:
        ref = Ref("Service", pod.service)
        yield from _service(ref, pod_labels(app.name, pod.role, pod.replica, pod.pod_index))
        for rank, port in enumerate(pod.ports):
            yield _port(ref, f"rank-{rank}", port, FURTHER_PORT[pod.role] if rank else FIRST_PORT[pod.role])
    ref = Ref("Service", app.router_service)
    yield from _service(ref, app.role_labels(ROUTING))
    yield _port(ref, "http", app.proxy["port"], CLIENT_PORT)
    yield from _peers(app)
    yield from _budget(app)


def _service(ref: Ref, selector: dict[str, str]) -> Iterator[Edit]:
    yield Edit(ref, ("spec", "type"), "ClusterIP", IN_CLUSTER)
    yield Edit(ref, ("spec", "selector"), selector, SELECTED)


def _port(ref: Ref, name: str, port: int, because: Reason) -> Edit:
    entry = {"name": name, "port": port, "protocol": "TCP", "targetPort": port}
    return Edit(ref, ("spec", "ports", (port, "TCP")), entry, because)


def _peers(app: App) -> Iterator[Edit]:
    """Several routing pods tell each other their loads and choices, by UDP on the number of the API's port.

    A pod that is not ready is among them: what it still serves is load, and what it hears it needs when it is ready.
    """
    if app.router_peers:
        ref, port = Ref("Service", app.router_peers), app.proxy["port"]
        yield Edit(ref, ("spec", "clusterIP"), "None", PEERS)
        yield Edit(ref, ("spec", "publishNotReadyAddresses"), True, PEERS)
        yield Edit(ref, ("spec", "selector"), app.role_labels(ROUTING), SELECTED)
        entry = {"name": "peers", "port": port, "protocol": "UDP", "targetPort": port}
        yield Edit(ref, ("spec", "ports", (port, "UDP")), entry, CLIENT_PORT)


def _budget(app: App) -> Iterator[Edit]:
    """Voluntary evictions leave all routing pods but one.

    RoleSet has no scale subresource that the disruption controller knows, so only a whole `minAvailable` works.
    """
    if app.routing.replicas > 1:
        ref = Ref("PodDisruptionBudget", app.router_service)
        yield Edit(ref, ("spec", "minAvailable"), app.routing.replicas - 1, BUDGET)
        yield Edit(ref, ("spec", "selector", "matchLabels"), app.role_labels(ROUTING), SELECTED)
