"""The environment of the engine containers; with a start script, that of MindCluster's k8s-deploy-tool as well."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.facts.limits import SERVING_ROLES
from stormc.facts.pods import INTERFACE
from stormc.finding import Path
from stormc.model.app import ROUTING, App, Role
from stormc.model.profile import Platform
from stormc.model.role import Prepended, Reference
from stormc.passes.because import KEY, ROLE, Because, Reason
from stormc.passes.edit import REMOVED, Edit, env_entry, router_path, storm
from stormc.targets.storm_service import container_path

INTERFACES = (Env.GLOO_INTERFACE, Env.HCCL_INTERFACE, Env.TP_INTERFACE)
"""The network interface of each library that opens sockets of its own (vllm-ascend, docs/source/tutorials/features/
pd_disaggregation_mooncake_multi_node.md)."""
# AIBrix re-sorts env up to v0.6, so `$(POD_IP)` would stay literal in a name that sorts before it
# (roleset/utils.go:217-224): values that are the pod's own are field references.
FIELD_ENV = {Env.HCCL_IF_IP: "status.podIP", Env.POD_IP: "status.podIP"}

GUIDE = "vllm-ascend docs/source/tutorials/features/pd_disaggregation_mooncake_multi_node.md"
DEPLOY_TOOL = "MindCluster k8s-deploy-tool stormservice.yaml.j2"
USER_VALUES: tuple[Path, ...] = ((ROLE, "env", KEY), ("engine", "env", KEY))
"""Where the user gives a variable: the role's own wins."""
SCRIPT: Path = ("engine", "script")
HOST_NETWORK: Path = (ROLE, "hostNetwork")
BY_USER = Because(USER_VALUES)


def _standard(fields: tuple[Path, ...], fact: str, source: str, *exists_if: Path, users: tuple[Path, ...]) -> Reason:
    """The reason of a variable that stormc writes, its name and its value; the user's own would replace it."""
    name = Because((), fact or "stormc", source, (*exists_if, *users))
    return {("name",): name, (): Because((*users, *fields), fact, source, exists_if)}


OF_THE_POD = _standard((), "vllm", GUIDE, users=USER_VALUES)
INTERFACE_NAME: Reason = {
    ("name",): Because((), "vllm", GUIDE, (*USER_VALUES, HOST_NETWORK, (ROLE, "interface"))),
    (): Because((*USER_VALUES, (ROLE, "interface")), "", GUIDE, (HOST_NETWORK,)),
}


def _script_reasons(users: tuple[Path, ...], distributed: tuple[Path, ...]) -> dict[str, Reason]:
    decided: dict[str, tuple[Path, ...]] = {
        "MODEL_NAME": (("model", "name"),),
        "MODEL_PATH": (("model", "path"),),
        "DISTRIBUTED_DP": distributed,
    }
    for role in SERVING_ROLES:
        for part, field in (("DP_SIZE", "dataParallel"), ("TP_SIZE", "tensorParallel"), ("NUM", "replicas"),
                            ("POD", "podGroupSize")):  # fmt: skip
            decided[f"{role.upper()}_{part}"] = ((role, field),)
    return {name: _standard(fields, "", DEPLOY_TOOL, SCRIPT, users=users) for name, fields in decided.items()}


IN_ENGINE = _script_reasons(USER_VALUES, ((ROLE, "distributedDp"),))
IN_ROUTER = _script_reasons(((ROUTING, "env", KEY),), tuple((role, "distributedDp") for role in SERVING_ROLES))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The environment of both engine containers, and what a start script reads in the routing pods."""
    for role in app.serving_roles:
        yield from _environment(app, role)
    if app.engine.script:
        yield from _script_in_router(app)


def _script_in_router(app: App) -> Iterator[Edit]:
    values = {f"{role.name.upper()}_POD": str(role.pod_group_size) for role in app.serving_roles}
    values["DISTRIBUTED_DP"] = _truth(any(role.distributed_dp for role in app.serving_roles))
    for name, value in sorted({**script_environment(app), **values}.items()):
        if name not in app.routing.env:
            path = router_path("env", (name,))
            yield Edit(storm(app), path, env_entry(name, value), IN_ROUTER[name])


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


def _standard_values(app: App, role: Role) -> dict[str, tuple[str | Reference, Reason]]:
    """What stormc sets by itself, and why."""
    interface = role.interface or (None if role.host_network else INTERFACE)
    values: dict[str, tuple[str | Reference, Reason]] = {}
    if interface is not None:
        values = dict.fromkeys(INTERFACES, (interface, INTERFACE_NAME))
    for name, field in FIELD_ENV.items():
        values[name] = (Reference({"fieldRef": {"apiVersion": "v1", "fieldPath": field}}), OF_THE_POD)
    if app.engine.script:
        of_script = {**script_environment(app), "DISTRIBUTED_DP": _truth(role.distributed_dp)}
        values |= {name: (value, IN_ENGINE[name]) for name, value in of_script.items()}
    return values


def _environment(app: App, role: Role) -> Iterator[Edit]:
    """The variables by name; what the user replaces or removes is written first, so that it is not forgotten."""
    standard = _standard_values(app, role)
    for name in sorted(standard.keys() | role.env.keys()):
        path = container_path(role.name, role.name, "env", (name,))
        over: Reason = BY_USER
        if name in standard:
            value, because = standard[name]
            yield Edit(storm(app), path, env_entry(name, value), because)
            over = {("name",): because["name",], (): BY_USER} if isinstance(because, dict) else BY_USER
        if name in role.env:
            own = role.env[name]
            if own is None or isinstance(own, Prepended):
                yield Edit(storm(app), path, REMOVED, BY_USER)
            else:
                yield Edit(storm(app), path, env_entry(name, own), over)
