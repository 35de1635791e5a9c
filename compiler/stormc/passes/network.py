"""Who may open connections to whom, when the spec asks for it (`networkPolicy: true`).

Engine ports take routing pods only, the proxy's metaserver takes decode pods only, and the pods of both serving roles
reach each other on any port, because KV transfer, HCCL and data-parallel coordination pick theirs at run time. The
kubelet's probes are not subject to network policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import GATEWAY_NAMESPACES, Label
from stormc.facts.limits import SERVING_ROLES
from stormc.model.app import ROUTING, App, Ref
from stormc.model.precedence import WHO_SERVES
from stormc.model.profile import Platform
from stormc.passes.because import LOCAL_RANKS, Reason, fact, of
from stormc.passes.edit import Edit

POLICY = fact("kubernetes", "networking.k8s.io/v1 NetworkPolicy; docs/spec.md networkPolicy")
STABLE_LABEL = of(("name",))._replace(source="AIBrix v0.5.0 pkg/controller/constants/stormservice.go")
PORTS = tuple((role, "port") for role in SERVING_ROLES)
RANKS = tuple((role, field) for role in SERVING_ROLES for field in LOCAL_RANKS)
SEVERAL = (("routing", "replicas"),)
OUR_PODS = ("podSelector", "matchLabels", Label.STORM_SERVICE)
SELECTED: Reason = {(): POLICY, OUR_PODS[1:]: STABLE_LABEL}
ENGINE_INGRESS: Reason = {
    (): POLICY,
    (0, "from", 0, *OUR_PODS): STABLE_LABEL,
    (0, "from", 1): fact("aibrix", "AIBrix docs, installation", exists_if=(("gateway",), *WHO_SERVES)),
    (0, "ports", 1): fact("kubernetes", "networking.k8s.io/v1 NetworkPolicy", exists_if=PORTS),
    (0, "ports", 0, "port"): of(*PORTS),
    (0, "ports", 1, "port"): of(*PORTS),
    (0, "ports", 0, "endPort"): of(*PORTS, *RANKS),
    (0, "ports", 1, "endPort"): of(*PORTS, *RANKS),
    (1, "from", 0, *OUR_PODS): STABLE_LABEL,
}
ROUTER_INGRESS: Reason = {
    (): POLICY,
    (0, "ports", 0, "port"): of(("proxy", "port")),
    (1, "from", 0, *OUR_PODS): STABLE_LABEL,
    (1, "ports", 0, "port"): of(("proxy", "port"))._replace(source="docs/proxy.md: the port of the metaserver"),
    (2,): fact("proxy", "docs/proxy.md: routing pods tell each other their loads", exists_if=SEVERAL),
    (2, "from", 0, *OUR_PODS): STABLE_LABEL._replace(exists_if=SEVERAL),
    (2, "ports", 0, "port"): of(("proxy", "port"), exists_if=SEVERAL),
}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The NetworkPolicy of the engine pods and that of the routing pods."""
    if app.metaserver_port is None:
        return
    ranges = sorted({(role.ports[0], role.ports[-1]) for role in app.serving_roles})
    if ranges[0][0] == ranges[-1][0]:
        ranges = ranges[-1:]
    engine_ports = [{"protocol": "TCP", "port": a, **({"endPort": b} if b > a else {})} for a, b in ranges]
    callers = [_pods(app, ROUTING)]
    if app.gateway == "roles":
        names = {"key": Label.NAMESPACE, "operator": "In", "values": list(GATEWAY_NAMESPACES)}
        callers.append({"namespaceSelector": {"matchExpressions": [names]}})
    roles = [role.name for role in app.serving_roles]
    ingress = [{"from": callers, "ports": engine_ports}, {"from": [_pods(app, *roles)]}]
    yield from _policy(app, app.engine_policy, roles, ingress, ENGINE_INGRESS)
    yield from _policy(app, app.router_service, [ROUTING], list(_to_routing(app)), ROUTER_INGRESS)


def _to_routing(app: App) -> Iterator[dict[str, Any]]:
    """Clients reach the API, decode pods the metaserver, routing pods each other's port for peers."""
    port = app.proxy["port"]
    yield {"ports": [{"protocol": "TCP", "port": port}]}
    yield {"from": [_pods(app, "decode")], "ports": [{"protocol": "TCP", "port": app.metaserver_port}]}
    if app.router_peers:
        yield {"from": [_pods(app, ROUTING)], "ports": [{"protocol": "UDP", "port": port}]}


def _policy(app: App, name: str, roles: list[str], ingress: list[dict[str, Any]], because: Reason) -> Iterator[Edit]:
    ref = Ref("NetworkPolicy", name)
    yield Edit(ref, ("spec", "podSelector"), _pods(app, *roles)["podSelector"], SELECTED)
    yield Edit(ref, ("spec", "policyTypes"), ["Ingress"], POLICY)
    yield Edit(ref, ("spec", "ingress"), ingress, because)


def _pods(app: App, *roles: str) -> dict[str, Any]:
    """The peer that is the pods of some roles of the app, by AIBrix's stable labels."""
    common = app.role_labels(roles[0])
    if len(roles) == 1:
        return {"podSelector": {"matchLabels": common}}
    del common[Label.ROLE]
    some = {"key": Label.ROLE, "operator": "In", "values": list(roles)}
    return {"podSelector": {"matchLabels": common, "matchExpressions": [some]}}
