"""The StormService and what every role's pods have in common.

One StormService with one RoleSet (`replicas: 1`, the only number that MindCluster supports) holds the roles prefill,
decode and routing. `InPlaceUpdate` keeps the RoleSet across changes: AIBrix's default, RollingUpdate, replaces every
pod for any change below `spec.template`, a role's replica count included. The selector names namespace and app,
because AIBrix matches it in all namespaces at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import ROUTING, App, Pods, Role
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, pod_path, role_path, storm

SELECTOR = "stormc.dev/app"

SPEC = {
    "replicas": 1,  # MindCluster guide, my-test sample: only 1 is supported
    "stateful": True,
    "updateStrategy": {"type": "InPlaceUpdate"},  # AIBrix v0.5.0 stormservice/sync.go:254-336
}
ROLLOUT = "Sequential"
"""One role after the other, stopping at the first that does not become ready (AIBrix v0.5.0 roleset/rolling.go)."""
UPGRADE_ORDER = {"prefill": 1, "decode": 2, ROUTING: 3}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """StormService, selector, roles with explicit replicas, pod-level fields that the spec sets per role."""
    service = storm(app)
    for field, value in SPEC.items():
        yield Edit(service, ("spec", field), value, "MindCluster guide, StormService sample")
    identity = {SELECTOR: app.identity}
    yield Edit(service, ("spec", "selector", "matchLabels"), identity, "selector unique per cluster")
    yield Edit(service, ("spec", "template", "metadata", "labels"), identity, "mirrors the selector")
    yield Edit(service, ("spec", "template", "spec", "updateStrategy"), ROLLOUT, "one role after the other")
    for role in (*app.serving_roles, app.routing):
        yield from _role(app, role)


def _role(app: App, role: Pods) -> Iterator[Edit]:
    service, name = storm(app), role.name
    yield Edit(service, role_path(name, "replicas"), role.replicas, f"{name}.replicas")
    yield Edit(service, role_path(name, "stateful"), True, "AIBrix gives indices to stateful roles only")
    yield Edit(service, role_path(name, "upgradeOrder"), UPGRADE_ORDER[name], "order of role upgrades")
    yield Edit(service, role_path(name, "updateStrategy"), {"maxUnavailable": 1}, "no spare NPUs for a surge")
    if isinstance(role, Role):
        yield Edit(service, role_path(name, "podGroupSize"), role.pod_group_size, f"{name}.podGroupSize")
    yield Edit(service, pod_path(name, "enableServiceLinks"), False, "Services would add env to every container")
    for secret in app.image_pull_secrets:
        yield Edit(service, pod_path(name, "imagePullSecrets", (secret,)), {"name": secret}, "imagePullSecrets")
    for field, table in (("labels", role.labels), ("annotations", role.annotations)):
        for key, value in table.items():
            path = role_path(name, "template", "metadata", field, key)
            yield Edit(service, path, value, f"{name}.{field}")
    for key, value in role.node_selector.items():
        yield Edit(service, pod_path(name, "nodeSelector", key), value, f"{name}.nodeSelector")
    if role.tolerations:
        yield Edit(service, pod_path(name, "tolerations"), list(role.tolerations), f"{name}.tolerations")
    if role.priority_class:
        yield Edit(service, pod_path(name, "priorityClassName"), role.priority_class, f"{name}.priorityClassName")
