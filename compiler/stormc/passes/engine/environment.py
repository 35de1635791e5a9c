"""The environment of the engine containers; with a start script, that of MindCluster's k8s-deploy-tool as well."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import ROUTER, ROUTING, App, Role
from stormc.model.profile import Platform
from stormc.model.role import INTERFACE, EnvValue, Prepended, Reference
from stormc.passes.edit import Edit, container_path, env_entry, storm

INTERFACES = ("GLOO_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
"""The network interface of each library that opens sockets of its own (vllm-ascend, docs/source/tutorials/features/
pd_disaggregation_mooncake_multi_node.md)."""
# AIBrix re-sorts env up to v0.6, so `$(POD_IP)` would stay literal in a name that sorts before it
# (roleset/utils.go:217-224): values that are the pod's own are field references.
FIELD_ENV = {"HCCL_IF_IP": "status.podIP", "POD_IP": "status.podIP"}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The environment of both engine containers, and what a start script reads in the routing pods."""
    for role in app.serving_roles:
        yield from _environment(app, role)
    if app.engine.script:
        values = {f"{role.name.upper()}_POD": str(role.pod_group_size) for role in app.serving_roles}
        values["DISTRIBUTED_DP"] = _truth(any(role.distributed_dp for role in app.serving_roles))
        for name, value in sorted({**script_environment(app), **values}.items()):
            if name not in app.routing.env:
                path = container_path(ROUTING, ROUTER, "env", (name,))
                yield Edit(storm(app), path, env_entry(name, value), "engine.script")


def script_environment(app: App) -> dict[str, str]:
    """What MindCluster's start_server.sh reads besides POD_IP (k8s-deploy-tool stormservice.yaml.j2).

    Replica counts stand in it: with a script a change of replicas restarts the pods.
    """
    values = {"MODEL_NAME": app.model.name, "MODEL_PATH": app.model.path}
    for role in app.serving_roles:
        stem = role.name.upper()
        values[f"{stem}_DP_SIZE"] = str(role.data_parallel)
        values[f"{stem}_TP_SIZE"] = str(role.tensor_parallel)
        values[f"{stem}_NUM"] = str(role.replicas)
    return values


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _environment(app: App, role: Role) -> Iterator[Edit]:
    interface = role.interface or (None if role.host_network else INTERFACE)
    values: dict[str, EnvValue] = dict.fromkeys(INTERFACES, interface)
    values |= {name: Reference({"fieldRef": {"apiVersion": "v1", "fieldPath": f}}) for name, f in FIELD_ENV.items()}
    if app.engine.script:
        values |= {**script_environment(app), "DISTRIBUTED_DP": _truth(role.distributed_dp)}
    values |= role.env
    for name, value in sorted(values.items()):
        if value is not None and not isinstance(value, Prepended):
            because = f"{role.name}.env" if name in role.env else "vllm-ascend P/D guide, k8s-deploy-tool"
            path = container_path(role.name, role.name, "env", (name,))
            yield Edit(storm(app), path, env_entry(name, value), because)
