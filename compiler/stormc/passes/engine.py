"""The engine container: image, launch, vLLM flags, KV-transfer config, environment, ports, probes, model volume.

The flags stand literally in `args`, so that a reviewer sees what runs; the launcher (compiler/payload/launch.py) adds
only what differs between the ranks of an instance. It is mounted from a ConfigMap whose name never changes: a new
launcher touches no pod template and serves the pods that start after it. A command or script of the user's own takes
the launcher's place; a script gets the environment of MindCluster's k8s-deploy-tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stormc.model.app import ROUTER, ROUTING, App, Ref, Role
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, container_path, env_entry, pod_path, role_path, storm

# vllm-ascend, docs/source/tutorials/features/pd_disaggregation_mooncake_multi_node.md, and MindCluster's
# k8s-deploy-tool example/scripts/start_server.sh
COMMON_FLAGS: dict[str, Any] = {
    "host": "0.0.0.0",
    "seed": 1024,
    "distributed-executor-backend": "mp",
    "max-model-len": 32768,
    "trust-remote-code": True,
    "gpu-memory-utilization": 0.9,
    "no-enable-prefix-caching": True,
}
ROLE_FLAGS: dict[str, dict[str, Any]] = {
    "prefill": {"enforce-eager": True, "max-num-batched-tokens": 32768},
    "decode": {
        "max-num-batched-tokens": 512,
        "max-num-seqs": 16,
        "compilation-config": {"cudagraph_mode": "FULL_DECODE_ONLY"},
    },
}
RPC_PORTS = {"prefill": 13389, "decode": 5964}  # start_server.sh, internal data parallelism
EXTERNAL_RPC_PORT = 13389  # start_server.sh, external data parallelism
KV_ROLES = {"prefill": "kv_producer", "decode": "kv_consumer"}

# The same guide's environment; HCCL_BUFFSIZE is in MB. A pod has one network interface, eth0.
COMMON_ENV = {
    "GLOO_SOCKET_IFNAME": "eth0",
    "HCCL_OP_EXPANSION_MODE": "AIV",
    "HCCL_SOCKET_IFNAME": "eth0",
    "OMP_NUM_THREADS": "10",
    "OMP_PROC_BIND": "false",
    "PYTORCH_NPU_ALLOC_CONF": "expandable_segments:True",
    "TASK_QUEUE_ENABLE": "1",
    "TP_SOCKET_IFNAME": "eth0",
}
ROLE_ENV = {"prefill": {"HCCL_BUFFSIZE": "256"}, "decode": {"HCCL_BUFFSIZE": "1024"}}
# AIBrix re-sorts env up to v0.6, so `$(POD_IP)` would stay literal in a name that sorts before it
# (roleset/utils.go:217-224): values that are the pod's own are field references.
FIELD_ENV = {"HCCL_IF_IP": "status.podIP", "POD_IP": "status.podIP"}

PROBE_PERIOD = 10
READINESS_PROBE = {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 5}

HEAD_HEALTH = (
    '[ "$POD_GROUP_INDEX" = 0 ] || exit 0; exec 3<>"/dev/tcp/$POD_IP/{port}" && '
    "printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [ \"$code\" = 200 ]"
)
"""A probe for pods of one template of which only the first serves: the others are well as long as they run."""

LAUNCHER_DIRECTORY = "/opt/stormc/launcher"
LAUNCHER_KEY = "launch.py"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The engine container of both serving roles, the model volume, and the labels of AIBrix's gateway."""
    if app.engine.launches:
        launcher = Ref("ConfigMap", app.launcher_config)
        yield Edit(launcher, ("data", LAUNCHER_KEY), app.payload.launcher, "the launcher of this stormc")
    for role in app.serving_roles:
        yield from _container(app, role)
        yield from _start(app, role)
        yield from _environment(app, role)
        yield from _probes(app, role)
        yield from _model_volume(app, role)
        if app.gateway == "roles":
            for key, value in app.gateway_labels(app.port).items():
                path = role_path(role.name, "template", "metadata", "labels", key)
                yield Edit(storm(app), path, value, "gateway")
    if app.engine.script:
        values = {f"{role.name.upper()}_POD": str(role.pod_group_size) for role in app.serving_roles}
        values["DISTRIBUTED_DP"] = _truth(any(role.distributed_dp for role in app.serving_roles))
        for name, value in sorted({**script_environment(app), **values}.items()):
            if name not in app.routing.env:
                path = container_path(ROUTING, ROUTER, "env", (name,))
                yield Edit(storm(app), path, env_entry(name, value), "engine.script")


def flags(app: App, role: Role) -> dict[str, Any]:
    """The vLLM flags of a role: stormc's defaults, what the layout demands, then the user's; null removes one."""
    merged: dict[str, Any] = {
        "served-model-name": app.model.name,
        "port": app.port,
        **COMMON_FLAGS,
        **ROLE_FLAGS[role.name],
        "tensor-parallel-size": role.tensor_parallel,
    }
    if app.expert_parallel:
        merged["enable-expert-parallel"] = True
    if role.data_parallel > 1:
        merged["data-parallel-size"] = role.data_parallel
        if role.distributed_dp:
            merged["data-parallel-rpc-port"] = EXTERNAL_RPC_PORT
        else:
            merged["data-parallel-size-local"] = role.local_ranks
            merged["data-parallel-rpc-port"] = RPC_PORTS[role.name]
    merged["kv-transfer-config"] = kv_transfer_config(app, role)
    merged.update(sorted(role.engine_args.items()))
    return {flag: value for flag, value in merged.items() if value is not None and value is not False}


def kv_transfer_config(app: App, role: Role) -> dict[str, Any]:
    """The KV-transfer config of a role; the sizes of both roles stand in it and agree in both by construction.

    kv_port is the first of `dataParallel × tensorParallel` ports. engine_id is left to the plugin, which makes it
    unique (vllm-ascend vllm_ascend/distributed/kv_transfer/kv_p2p/mooncake_layerwise_connector.py).
    """
    sizes = {
        other.name: {"dp_size": other.data_parallel, "tp_size": other.tensor_parallel} for other in app.serving_roles
    }
    return {
        "kv_connector": app.connector,
        "kv_role": KV_ROLES[role.name],
        "kv_port": str(app.kv_port),
        "kv_connector_extra_config": sizes,
    }


def _arguments(app: App, role: Role) -> list[str]:
    arguments = [*(["--external-dp"] if role.distributed_dp else []), "--", "vllm", "serve", app.model.path]
    for flag, value in flags(app, role).items():
        if value is True:
            arguments.append(f"--{flag}")
        elif isinstance(value, (dict, list)):
            text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
            arguments.append(f"--{flag}={text}")
        else:
            arguments.append(f"--{flag}={value}")
    return arguments


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


def _start(app: App, role: Role) -> Iterator[Edit]:
    """The container's command, and where the program comes from that it names."""
    service, engine = storm(app), app.engine

    def at(*steps: str | tuple[str | int, ...]) -> tuple[Any, ...]:
        return container_path(role.name, role.name, *steps)

    if engine.command is not None:
        yield Edit(service, at("command"), list(engine.command), "engine.command")
        return
    if engine.script:
        directory = engine.script.directory
        yield Edit(service, at("command"), ["/bin/bash", "-c", engine.script.command], "engine.script")
        yield Edit(service, at("workingDir"), directory, "engine.script")
        name = "script"
        source: dict[str, Any] = {"hostPath": {"path": directory, "type": "Directory"}}
        because = "engine.script"
    else:
        yield Edit(service, at("command"), ["python3", f"{LAUNCHER_DIRECTORY}/{LAUNCHER_KEY}"], "the launcher")
        yield Edit(service, at("args"), _arguments(app, role), f"{role.name}.engineArgs")
        name, directory = "launcher", LAUNCHER_DIRECTORY
        source = {"configMap": {"name": app.launcher_config}}
        because = "the launcher"
    yield Edit(service, pod_path(role.name, "volumes", (name,)), {"name": name, **source}, because)
    mount = {"name": name, "mountPath": directory, "readOnly": True}
    yield Edit(service, at("volumeMounts", (directory,)), mount, because)


def _container(app: App, role: Role) -> Iterator[Edit]:
    service, name = storm(app), role.name

    def at(*steps: str | tuple[str | int, ...]) -> tuple[Any, ...]:
        return container_path(name, name, *steps)

    yield Edit(service, at("image"), role.image, "image")
    if role.image_pull_policy:
        yield Edit(service, at("imagePullPolicy"), role.image_pull_policy, "imagePullPolicy")
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                yield Edit(service, at("resources", kind, resource), amount, f"{name}.resources.{resource}")
    for rank in range(role.local_ranks if role.distributed_dp else 1):
        port = {"name": f"rank-{rank}", "containerPort": app.port + rank, "protocol": "TCP"}
        yield Edit(service, at("ports", (app.port + rank, "TCP")), port, "port + local rank")


def _environment(app: App, role: Role) -> Iterator[Edit]:
    values = {**COMMON_ENV, **ROLE_ENV[role.name]}
    if app.engine.script:
        values |= {**script_environment(app), "DISTRIBUTED_DP": _truth(role.distributed_dp)}
    values |= role.env
    entries: dict[str, dict[str, Any]] = {name: env_entry(name, value) for name, value in values.items()}
    for name, field in FIELD_ENV.items():
        if name not in role.env:
            entries[name] = {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}}
    for name, entry in sorted(entries.items()):
        because = f"{role.name}.env" if name in role.env else "vllm-ascend P/D guide, k8s-deploy-tool"
        yield Edit(storm(app), container_path(role.name, role.name, "env", (name,)), entry, because)


def _probes(app: App, role: Role) -> Iterator[Edit]:
    """Probes of the first local rank; headless pods, which have the same template, pass them without being asked."""
    check: dict[str, Any] = {"httpGet": {"path": "/health", "port": app.port}}
    if not role.every_pod_serves:
        check = {"exec": {"command": ["/bin/bash", "-c", HEAD_HEALTH.format(port=app.port)]}}
    attempts = -(-app.engine.startup_seconds // PROBE_PERIOD)
    startup = {"periodSeconds": PROBE_PERIOD, "failureThreshold": attempts, "timeoutSeconds": 5}
    for field, timing, because in (
        ("startupProbe", startup, "engine.startupSeconds"),
        ("readinessProbe", READINESS_PROBE, "vLLM answers /health when the model is loaded"),
    ):
        yield Edit(storm(app), container_path(role.name, role.name, field), {**check, **timing}, because)


def _model_volume(app: App, role: Role) -> Iterator[Edit]:
    service, model = storm(app), app.model
    if model.claim:
        source: dict[str, Any] = {"persistentVolumeClaim": {"claimName": model.claim}}
    else:
        source = {"hostPath": {"path": model.host_path, "type": "Directory"}}
    yield Edit(service, pod_path(role.name, "volumes", ("model",)), {"name": "model", **source}, "model.volume")
    mount = {"name": "model", "mountPath": model.mount_path, "readOnly": True}
    path = container_path(role.name, role.name, "volumeMounts", (model.mount_path,))
    yield Edit(service, path, mount, "model.path")
