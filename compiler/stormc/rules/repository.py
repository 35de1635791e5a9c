"""What no app shows alone: apps that take each other's names, models, ports or NPUs, and overrides past their day.

These rules see a summary per app, which the render remembers of unchanged apps, so they cost the same in a repository
of thousands whatever was edited.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stormc.finding import Mark
from stormc.model.summary import Summary
from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation


@dataclass(frozen=True)
class Inventory:
    """The NPUs that a platform file says its apps share, per hardware profile, and where it says so."""

    directory: str
    file: str
    npus: Mapping[str, int]
    marks: Mapping[str, Mark]


@dataclass(frozen=True)
class Repository:
    """All apps that a run knows of, in file order, the platforms' inventories, and the day of the run."""

    apps: Sequence[Summary]
    inventories: Sequence[Inventory]
    today: str


def check_expired(repository: Repository) -> Iterator[Violation]:
    """An override is renewed or removed when its day has come.

    It was meant to be temporary. Whoever answers for it decides whether what it works around still exists.
    """
    for number, app in enumerate(repository.apps):
        for index, day in app.expiries:
            if day <= repository.today:
                yield Violation(("overrides", index, "expires"), f"overrides[{index}] of {app.name} expired on {day}",
                                "remove the override, or set a later day", app=number)  # fmt: skip


def check_models(repository: Repository) -> Iterator[Violation]:
    """One model name behind the gateway belongs to one app.

    AIBrix's gateway knows models by name alone, in all namespaces: two apps of one name, such as staging and
    production, answer each other's requests, and a prefill of one is never paired with a decode of the other.
    """
    first: dict[tuple[str, str], Summary] = {}
    for number, app in enumerate(repository.apps):
        if not app.model:
            continue
        other = first.setdefault((app.cluster, app.model), app)
        if (other.namespace, other.name) != (app.namespace, app.name):  # a namesake is E301
            yield Violation(("model", "name"), f"model {app.model} of {app.namespace}/{app.name} is also served by "
                            f"{other.namespace}/{other.name}", "rename one of the models, or set gateway: off in one",
                            app=number)  # fmt: skip


_SERVICE = re.compile(r"(.+)-(?:router|(?:prefill|decode)-\d+(?:-\d+)?)")


def check_services(repository: Repository) -> Iterator[Violation]:
    """No app is called like a Service of another.

    AIBrix makes a headless Service of each StormService's name and overwrites one that exists; it cannot turn a
    ClusterIP Service headless, and then creates no pods and writes no status at all.
    """
    names = {(app.cluster, app.namespace, app.name) for app in repository.apps}
    for number, app in enumerate(repository.apps):
        match = _SERVICE.fullmatch(app.name)
        if match and (app.cluster, app.namespace, match[1]) in names:
            yield Violation(("name",), f"name {app.name} may be that of a Service of app {match[1]}", "rename the app",
                            app=number)  # fmt: skip


def check_ports(repository: Repository) -> Iterator[Violation]:
    """Engines on the host network that may share a node use different ports.

    Without a network of its own a pod has the node's ports. Kubernetes knows of the declared ones only; KV ports are
    not, and the second engine that takes one does not start.
    """
    seen: dict[tuple[str, str], list[tuple[Summary, tuple[int, int]]]] = defaultdict(list)
    for number, app in enumerate(repository.apps):
        for ports in app.host_ports:
            others = seen[app.cluster, app.hardware]
            other = next((o for o, (low, high) in others if low <= ports[1] and ports[0] <= high), None)
            if other:
                who = "another role or replica of it" if other is app else f"{other.namespace}/{other.name}"
                yield Violation(("kvTransfer", "port"), f"ports {ports[0]}…{ports[1]} of {app.name} on the host "
                                f"network are also used by {who}", "take whole nodes, or other ports",
                                app=number)  # fmt: skip
                break
            others.append((app, ports))


def check_demand(repository: Repository) -> Iterator[Violation]:
    """All apps together fit the platform's inventory.

    Volcano enqueues a PodGroup only when its NPUs are free; what does not fit stays Pending, and which app that hits is
    chance. The app in which the sum first exceeds the inventory is reported, in file order.
    """
    for inventory in repository.inventories:
        demand: dict[str, int] = defaultdict(int)
        for number, app in enumerate(repository.apps):
            if app.inventory != inventory.directory or app.hardware not in inventory.npus:
                continue
            before = demand[app.hardware]
            demand[app.hardware] = after = before + app.npus
            most = inventory.npus[app.hardware]
            if before <= most < after:
                place = f"{inventory.file}:{inventory.marks[app.hardware].line}"
                yield Violation(("hardware",), f"{app.name} needs {app.npus} NPUs of {app.hardware}, {most - before} "
                                f"of the {most} in {place} are left", "free some, or correct the inventory",
                                app=number)  # fmt: skip


def check_stock(repository: Repository) -> Iterator[Violation]:
    """The platform's inventory has the app's hardware.

    Where the platform file counts its nodes, a product that it does not name has none, and the pods stay Pending.
    """
    known = {inventory.directory: inventory for inventory in repository.inventories}
    for number, app in enumerate(repository.apps):
        inventory = known.get(app.inventory or "")
        if inventory and app.hardware not in inventory.npus:
            yield Violation(("hardware",), f"{inventory.file} counts no nodes of {app.hardware}",
                            "add them to the inventory", app=number)  # fmt: skip


def host_ports(finished: Finished) -> tuple[tuple[int, int], ...]:
    """The port ranges of engines that have their node's network and may share the node with another of them."""
    app = finished.app
    if not app.overrides:
        return ()
    ranges: list[tuple[int, int]] = []
    for role, template in finished.serving:
        if template.pod.get("hostNetwork") and 2 * role.npus <= app.profile.npus:
            ranks = (app.port, app.port + (role.local_ranks if role.distributed_dp else 1) - 1)
            transfer = (app.kv_port, app.kv_port + role.data_parallel * role.tensor_parallel - 1)
            ranges += [ranks, transfer] * min(2, role.replicas * role.pod_group_size)
    return tuple(ranges)


_INVENTORY = "inventory: {atlas-900-a3-superpod: {nodes: %d}}"
_HOST = (
    "{name: %s, hardware: atlas-800i-a3, port: %d, kvTransfer: {port: %d}, "
    "prefill: {replicas: 1, npus: 8, dataParallel: 1, allowPartialNode: true}, "
    "overrides: [{target: StormService, reason: r, owner: o, patch: {spec: {template: {spec: "
    "{roles: [{name: prefill, template: {spec: {hostNetwork: true}}}]}}}}}]}"
)

RULES = (
    Rule(
        "W046", check_expired, "docs/spec.md, overrides",
        bad=(Example("overrides: [{target: Service, patch: {spec: {type: NodePort}}, reason: r, owner: o, "
                     "expires: '2020-01-31'}]", "overrides[0].expires"),),
        good=(Example("overrides: [{target: Service, patch: {spec: {type: NodePort}}, reason: r, owner: o, "
                      "expires: '9999-12-31'}]"),),
        sees=Sees.REPOSITORY,
    ),
    Rule(
        "W066", check_models, "AIBrix v0.5.0 pkg/cache/informers.go:96-124, pd_disaggregation.go:212-216",
        bad=(Example("namespace: production", "model.name", beside=("{name: twin, namespace: staging}",)),),
        good=(Example("namespace: production", beside=("{name: twin, namespace: staging, gateway: 'off'}",)),),
        sees=Sees.REPOSITORY,
    ),
    Rule(
        "E070", check_services, "AIBrix v0.5.0 pkg/controller/stormservice/sync.go:73-113",
        bad=(Example("name: moe-prefill-0", "name", beside=("{name: moe, gateway: 'off'}",)),),
        good=(Example("name: moe-prefill", beside=("{name: moe, gateway: 'off'}",)),),
        sees=Sees.REPOSITORY,
    ),
    Rule(
        "E068", check_ports, "vllm-ascend docs pd_disaggregation_mooncake_multi_node.md; Kubernetes hostNetwork",
        bad=(Example(_HOST % ("one", 8000, 36000), "kvTransfer.port", beside=(_HOST % ("two", 9000, 36000),)),),
        good=(Example((_HOST % ("one", 8000, 36000)).replace("npus: 8, dataParallel: 1", "npus: 16, dataParallel: 2"),
                      beside=(_HOST % ("two", 9000, 36000),)),),
        sees=Sees.REPOSITORY,
    ),
    Rule(
        "E067", check_demand, "ascend-for-volcano npu.go:444-475",
        bad=(Example("", "hardware", _INVENTORY % 3),
             Example("", "hardware", _INVENTORY % 7, ("{name: twin, gateway: 'off'}",))),
        good=(Example("", platform=_INVENTORY % 8, beside=("{name: twin, gateway: 'off'}",)),),
        sees=Sees.REPOSITORY,
    ),
    Rule(
        "W067", check_stock, "docs/spec.md, inventory",
        bad=(Example("", "hardware", "inventory: {atlas-800i-a2: {nodes: 3}}"),),
        good=(Example("", platform=_INVENTORY % 8),),
        sees=Sees.REPOSITORY,
    ),
)  # fmt: skip
