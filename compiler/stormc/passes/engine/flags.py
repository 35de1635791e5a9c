"""The vLLM flags of a role: what the layout demands, two defaults, and the user's own over both.

What stormc adds by itself stands in docs/spec.md, "What stormc adds"; null removes each of them.
"""

from __future__ import annotations

from typing import Any

from stormc.model.app import App, Role
from stormc.passes.engine.kv_transfer import kv_transfer_config

DEFAULTS: dict[str, Any] = {
    "host": "0.0.0.0",  # probes and Services reach the engine at the address of the pod
    "distributed-executor-backend": "mp",  # vLLM would look for a Ray cluster where one rank has several nodes
}
RPC_PORTS = {"prefill": 13389, "decode": 5964}  # k8s-deploy-tool start_server.sh, internal data parallelism
TOGETHER = frozenset({"data-parallel-size", "data-parallel-size-local", "data-parallel-rpc-port"})
"""What an engine that is alone must not be told."""
EXTERNAL_RPC_PORT = 13389  # start_server.sh, external data parallelism


def flags(app: App, role: Role) -> dict[str, Any]:
    """The vLLM flags of a role with their values; false stands for the negation, and what is null is left out."""
    merged: dict[str, Any] = {"served-model-name": app.model.name, "port": role.port, **DEFAULTS}
    merged |= _sizes(app, role)
    merged["kv-transfer-config"] = kv_transfer_config(app, role)
    merged |= {name: value for name, value in sorted(role.engine_args.items()) if name != "kv-transfer-config"}
    if role.engine_args.get("kv-transfer-config", merged) is None:
        del merged["kv-transfer-config"]
    apart = role.independent
    return {f: value for f, value in merged.items() if value is not None and not (apart and f in TOGETHER)}


def _sizes(app: App, role: Role) -> dict[str, Any]:
    """What says to vLLM how many ranks there are and what each takes."""
    sizes: dict[str, Any] = {"tensor-parallel-size": role.tensor_parallel}
    for name, size in (
        ("pipeline-parallel-size", role.pipeline_parallel),
        ("prefill-context-parallel-size", role.prefill_context),
        ("decode-context-parallel-size", role.decode_context),
    ):
        if size > 1:
            sizes[name] = size
    if app.expert_parallel:
        sizes["enable-expert-parallel"] = True
    if role.data_parallel > 1 and not role.independent:
        sizes["data-parallel-size"] = role.data_parallel
        if role.distributed_dp:
            sizes["data-parallel-rpc-port"] = EXTERNAL_RPC_PORT
        else:
            sizes["data-parallel-size-local"] = role.local_ranks
            sizes["data-parallel-rpc-port"] = RPC_PORTS[role.name]
    return sizes
