"""The KV-transfer config: how prefill hands its KV cache to decode."""

from __future__ import annotations

from typing import Any

from stormc.model.app import App, Role

KV_ROLES = {"prefill": "kv_producer", "decode": "kv_consumer"}


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
