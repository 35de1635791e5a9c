"""The engine container: image, launch, vLLM flags, KV-transfer config, environment, ports, probes, model volume.

The flags stand literally in `args`, so that a reviewer sees what runs; the launch script adds only what differs
between the ranks of a pod. With external data parallelism (`distributedDp`) every rank is a process with its own
port and NPUs; with internal data parallelism one process serves in pod 0 and the other pods run headless.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from compiler.passes.edit import Edit, container_path, env_entry, pod_path, role_path, storm
from compiler.spec.app import App, Role
from compiler.spec.profile import Platform

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

STARTUP_PROBE = {"periodSeconds": 10, "failureThreshold": 180, "timeoutSeconds": 5}  # 30 min to load a model
READINESS_PROBE = {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 5}

PLAIN_LAUNCH = 'exec "$@" --port {port}\n'

# A rank that ends by itself is a fault even with exit code 0: the pod must fail, or Volcano sees nothing (MindCluster
# ascend-for-volcano rescheduling/job.go:580-600). The k8s-deploy-tool's script loses the code.
EXTERNAL_LAUNCH = """\
index=${{POD_GROUP_INDEX:-0}}
head=$POD_IP
if [ "$index" -gt 0 ]; then head=$PODSET_NAME-0.$STORM_SERVICE_NAME; fi
stopping=
trap 'stopping=1; kill -TERM $(jobs -p) 2>/dev/null' TERM INT
for ((i = 0; i < {ranks}; i++)); do
  ASCEND_RT_VISIBLE_DEVICES=$(seq -s, $((i * {tp})) $((i * {tp} + {tp} - 1))) "$@" --port $(({port} + i)) \\
    --data-parallel-rank $((index * {ranks} + i)) --data-parallel-address "$head" &
done
wait -n; code=$?
kill -TERM $(jobs -p) 2>/dev/null
wait
if [ -n "$stopping" ]; then exit 0; fi
exit $((code > 0 ? code : 1))
"""

INTERNAL_LAUNCH = """\
index=${{POD_GROUP_INDEX:-0}}
if [ "$index" -eq 0 ]; then
  exec "$@" --port {port} --api-server-count 1 --data-parallel-address "$POD_IP"
fi
exec "$@" --headless --data-parallel-start-rank $((index * {ranks})) \\
  --data-parallel-address "$PODSET_NAME-0.$STORM_SERVICE_NAME"
"""


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The engine container of both serving roles, the model volume, and the labels of AIBrix's gateway."""
    for role in app.serving_roles:
        yield from _container(app, role)
        yield from _environment(app, role)
        yield from _probes(app, role)
        yield from _model_volume(app, role)
        if app.gateway == "roles":
            for key, value in app.gateway_labels(app.port).items():
                path = role_path(role.name, "template", "metadata", "labels", key)
                yield Edit(storm(app), path, value, "gateway")


def flags(app: App, role: Role) -> dict[str, Any]:
    """The vLLM flags of a role: stormc's defaults, what the layout demands, then the user's; null removes one."""
    merged: dict[str, Any] = {
        "served-model-name": app.model.name,
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
    arguments = ["vllm", "serve", app.model.path]
    for flag, value in flags(app, role).items():
        if value is True:
            arguments.append(f"--{flag}")
        elif isinstance(value, (dict, list)):
            text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
            arguments.append(f"--{flag}={text}")
        else:
            arguments.append(f"--{flag}={value}")
    return arguments


def launch_script(app: App, role: Role) -> str:
    """The bash script that starts the ranks of one pod; the vLLM command line is its arguments."""
    if role.distributed_dp:
        return EXTERNAL_LAUNCH.format(ranks=role.local_ranks, tp=role.tensor_parallel, port=app.port)
    if role.data_parallel > 1:
        return INTERNAL_LAUNCH.format(ranks=role.local_ranks, port=app.port)
    return PLAIN_LAUNCH.format(port=app.port)


def _container(app: App, role: Role) -> Iterator[Edit]:
    service, name = storm(app), role.name

    def at(*steps: str | tuple[str | int, ...]) -> tuple[Any, ...]:
        return container_path(name, name, *steps)

    yield Edit(service, at("image"), role.image, "image")
    if role.image_pull_policy:
        yield Edit(service, at("imagePullPolicy"), role.image_pull_policy, "imagePullPolicy")
    yield Edit(service, at("command"), ["/bin/bash", "-c", launch_script(app, role), "launch"], "one process per rank")
    yield Edit(service, at("args"), _arguments(app, role), f"{name}.engineArgs")
    for resource, amount in (("cpu", role.cpu), ("memory", role.memory)):
        if amount is not None:
            for kind in ("limits", "requests"):
                yield Edit(service, at("resources", kind, resource), amount, f"{name}.resources.{resource}")
    for rank in range(role.local_ranks if role.distributed_dp else 1):
        port = {"name": f"rank-{rank}", "containerPort": app.port + rank, "protocol": "TCP"}
        yield Edit(service, at("ports", (app.port + rank, "TCP")), port, "port + local rank")


def _environment(app: App, role: Role) -> Iterator[Edit]:
    values = {**COMMON_ENV, **ROLE_ENV[role.name], **role.env}
    entries: dict[str, dict[str, Any]] = {name: env_entry(name, value) for name, value in values.items()}
    for name, field in FIELD_ENV.items():
        if name not in role.env:
            entries[name] = {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}}
    for name, entry in sorted(entries.items()):
        because = f"{role.name}.env" if name in role.env else "vllm-ascend P/D guide"
        yield Edit(storm(app), container_path(role.name, role.name, "env", (name,)), entry, because)


def _probes(app: App, role: Role) -> Iterator[Edit]:
    """Probes where every pod of the role answers HTTP; all pods of a role have the same template."""
    if not role.every_pod_serves:
        return
    check = {"httpGet": {"path": "/health", "port": app.port}}
    for field, timing in (("startupProbe", STARTUP_PROBE), ("readinessProbe", READINESS_PROBE)):
        path = container_path(role.name, role.name, field)
        yield Edit(storm(app), path, {**check, **timing}, "vLLM answers /health when the model is loaded")


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
