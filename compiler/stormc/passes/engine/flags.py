"""The vLLM flags of a role: what the layout demands, the defaults of this compiler, and the user's own."""

from __future__ import annotations

from typing import Any

from stormc.model.app import App, Role
from stormc.passes.engine.kv_transfer import kv_transfer_config

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
