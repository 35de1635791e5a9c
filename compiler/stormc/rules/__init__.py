"""Every rule, by what it looks at. Rules look, report, and change nothing.

A rule is the file `rules/<area>/<rule>.py`: what it demands and why, its check, its source, and examples that prove it.

Ids: the number is that of the fact of MindCluster's rules (R01…R45) where one exists, 046…049 are about the spec,
050…099 about AIBrix, Kubernetes and the repository. An id is never used for anything else again. E101…E502 are not
rules but what other rooms report (reference/ids.py).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from stormc.rules.rule import Rule, Subject

OF_APPS = (
    "scheduling.architecture", "scheduling.equal_npus", "faults.crash", "faults.unused_grace_period",
    "hardware.documented", "hardware.pod_npus", "hardware.release",
    "hardware.whole_node", "super_pod.coupled", "super_pod.network",
    "super_pod.one_super_pod", "super_pod.whole_nodes", "keys.owned", "parallelism.distributed",
    "parallelism.idle_npus", "parallelism.ranks", "ports.driver_ports", "ports.kv_ports", "ports.rank_ports",
    "engine.connectors", "engine.dense_internal", "engine.dense_or_moe", "engine.directories", "engine.flags",
    "engine.image_age", "engine.image_hardware", "engine.kv_peer", "engine.load_time", "engine.model_label",
    "engine.negations", "engine.one_release", "engine.one_value", "engine.release", "engine.release_limits",
    "engine.start_script",
    "names.length", "pods.tiny_memory", "workload.proxy_image", "workload.size",
)  # fmt: skip
OF_OVERRIDDEN_APPS = (
    "overrides.identity", "overrides.names", "overrides.selector", "overrides.target",
)  # fmt: skip
OF_MANIFESTS = (
    "scheduling.gang_size", "scheduling.shared_settings", "scheduling.whole_gang", "super_pod.affinity",
    "super_pod.block", "super_pod.product", "super_pod.racks", "keys.foreign", "keys.mindie", "keys.misspelt",
    "keys.misspelt_variables", "keys.reserved", "keys.service_affinity", "keys.tor_affinity", "keys.tor_affinity_use",
    "keys.without_effect",
    "engine.batch_sizes", "engine.expected", "engine.flag_values", "engine.gateway_labels", "engine.host_interface",
    "engine.keys_of_one_role", "engine.known_flags", "engine.kv_config", "engine.own_address", "engine.paths",
    "engine.recomputes", "engine.references", "engine.refused_keys", "engine.removed_variables",
    "engine.role_agreement", "engine.shell_variables", "engine.startup_time", "engine.tensor_sizes",
    "engine.visible_devices", "engine.whole_numbers", "pods.pinned_images", "pods.requests", "pods.tolerations",
)  # fmt: skip
OF_OVERRIDDEN_MANIFESTS = (
    "scheduling.handler", "scheduling.node_labels", "scheduling.other_roles", "scheduling.scheduler",
    "scheduling.strategy",
    "faults.grace_period", "faults.instance_recovery", "faults.restart_policy", "faults.retries",
    "faults.retries_without_scheduling", "faults.scheduling", "faults.shared_recovery", "faults.sub_healthy",
    "hardware.mounts", "hardware.requests", "hardware.visible_devices", "keys.written_by_controllers",
    "workload.hostname", "workload.numbers", "workload.one_roleset", "workload.role_names", "workload.selector",
    "workload.service_links", "workload.sidecar", "workload.surge", "workload.update_strategy", "pods.amounts",
    "pods.early_liveness", "pods.env_sources", "pods.escalation", "pods.probe_ports", "pods.probes",
    "pods.volume_sources", "pods.volumes", "engine.launcher_words", "engine.routers",
)  # fmt: skip
OF_REPOSITORIES = (
    "repository.expired_overrides", "repository.host_ports", "repository.inventory_demand",
    "repository.inventory_reserve", "repository.inventory_stock", "repository.models", "repository.services",
)  # fmt: skip
RULES = (*OF_APPS, *OF_OVERRIDDEN_APPS, *OF_MANIFESTS, *OF_OVERRIDDEN_MANIFESTS, *OF_REPOSITORIES)
"""Area and file of every rule. A rule of an app with overrides is loaded only where there are some: most have none."""

_SHOWN: dict[tuple[Subject, bool], tuple[str, ...]] = {
    (Subject.APP, False): OF_APPS,
    (Subject.APP, True): (*OF_APPS, *OF_OVERRIDDEN_APPS),
    (Subject.MANIFESTS, False): OF_MANIFESTS,
    (Subject.MANIFESTS, True): (*OF_MANIFESTS, *OF_OVERRIDDEN_MANIFESTS),
    (Subject.REPOSITORY, False): OF_REPOSITORIES,
}


@cache
def load(name: str) -> Rule:
    """The rule of `area.file`."""
    rule: Rule = import_module(f"stormc.rules.{name}").RULE
    return rule


@cache
def rules_for(subject: Subject, overridden: bool = False) -> tuple[Rule, ...]:
    """The rules that see this, for an app with overrides or one without."""
    return tuple(map(load, _SHOWN[subject, overridden]))


def all_rules() -> tuple[Rule, ...]:
    """Every rule."""
    return tuple(map(load, RULES))
