"""The StormService and what every role's pods have in common.

One StormService with one RoleSet (`replicas: 1`, the only number that MindCluster supports) holds the roles prefill,
decode and routing. `InPlaceUpdate` keeps the RoleSet across changes: AIBrix's default, RollingUpdate, replaces every
pod for any change below `spec.template`, a role's replica count included. The selector names namespace and app,
because AIBrix matches it in all namespaces at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.model.app import ROUTING, App, Pods, Role
from stormc.model.profile import Platform
from stormc.passes.because import KEY, ROLE, Because, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import pod_path, role_path

SPEC = {
    "replicas": (1, fact("mindcluster", "MindCluster guide, my-test sample: only 1 is supported")),
    "stateful": (True, fact("aibrix", "AIBrix v0.5.0: only stateful RoleSets have stable labels")),
    "updateStrategy": ({"type": "InPlaceUpdate"}, fact("aibrix", "AIBrix v0.5.0 stormservice/sync.go:254-336")),
}
ROLLOUT = "Sequential"
"""One role after the other, stopping at the first that does not become ready (AIBrix v0.5.0 roleset/rolling.go)."""
UPGRADE_ORDER = {"prefill": 1, "decode": 2, ROUTING: 3}

IDENTITY = Because((("name",), ("namespace",)), source="AIBrix stormservice/rolesetoperations.go:35-49")
SEQUENTIAL = fact("aibrix", "AIBrix v0.5.0 roleset/rolling.go: stops at the first role that does not become ready")
STATEFUL = fact("aibrix", "AIBrix v0.5.0 roleset/: gives indices to stateful roles only")
ORDER = fact("stormc", "docs/restarts.md: prefill, decode, routing, one after the other")
NO_SURGE = fact("stormc", "docs/restarts.md: there are no spare NPUs for a surge")
NO_LINKS = fact("kubernetes", "core/v1 PodSpec: every Service of the namespace would add variables to each container")
REPLICAS = of((ROLE, "replicas"))
POD_GROUP_SIZE = of((ROLE, "podGroupSize"))
PULL_SECRETS = of(("imagePullSecrets",))
LABELS = of((ROLE, "labels", KEY))
ANNOTATIONS = of((ROLE, "annotations", KEY))
NODE_SELECTOR = of((ROLE, "nodeSelector", KEY))
TOLERATIONS = of((ROLE, "tolerations"))
PRIORITY_CLASS = of((ROLE, "priorityClassName"))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """StormService, selector, roles with explicit replicas, pod-level fields that the spec sets per role."""
    service = storm(app)
    for field, (value, because) in SPEC.items():
        yield Edit(service, ("spec", field), value, because)
    identity = {Label.STORMC_APP: app.identity}
    yield Edit(service, ("spec", "selector", "matchLabels"), identity, IDENTITY)
    yield Edit(service, ("spec", "template", "metadata", "labels"), identity, IDENTITY)
    yield Edit(service, ("spec", "template", "spec", "updateStrategy"), ROLLOUT, SEQUENTIAL)
    for role in (*app.serving_roles, app.routing):
        yield from _role(app, role)


def _role(app: App, role: Pods) -> Iterator[Edit]:
    service, name = storm(app), role.name
    yield Edit(service, role_path(name, "replicas"), role.replicas, REPLICAS)
    yield Edit(service, role_path(name, "stateful"), True, STATEFUL)
    yield Edit(service, role_path(name, "upgradeOrder"), UPGRADE_ORDER[name], ORDER)
    yield Edit(service, role_path(name, "updateStrategy"), {"maxUnavailable": 1}, NO_SURGE)
    if isinstance(role, Role):
        yield Edit(service, role_path(name, "podGroupSize"), role.pod_group_size, POD_GROUP_SIZE)
    yield Edit(service, pod_path(name, "enableServiceLinks"), False, NO_LINKS)
    for secret in app.image_pull_secrets:
        yield Edit(service, pod_path(name, "imagePullSecrets", (secret,)), {"name": secret}, PULL_SECRETS)
    for field, table, because in (("labels", role.labels, LABELS), ("annotations", role.annotations, ANNOTATIONS)):
        for key, value in table.items():
            path = role_path(name, "template", "metadata", field, key)
            yield Edit(service, path, value, because)
    for key, value in role.node_selector.items():
        yield Edit(service, pod_path(name, "nodeSelector", key), value, NODE_SELECTOR)
    if role.tolerations:
        yield Edit(service, pod_path(name, "tolerations"), list(role.tolerations), TOLERATIONS)
    if role.priority_class:
        yield Edit(service, pod_path(name, "priorityClassName"), role.priority_class, PRIORITY_CLASS)
