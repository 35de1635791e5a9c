"""How KV cache moves from prefill to decode: the connector, its ports, and a config that the user pasted.

A kv-transfer-config says the connector, the role, a port and the sizes of both roles. In a MultiConnector they stand
in the one of its inner connectors that carries KV cache between the roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.load.engines import EngineFacts
from stormc.record import NamedTuple

CONFIG = "kv-transfer-config"
EXTRA = "kv_connector_extra_config"
MULTI = "MultiConnector"
CARRYING = ("prefill-first", "decode-first")
"""The protocols of connectors that carry KV cache from prefill to decode; others keep it in a pool."""
POOL = "pool"
KV_ROLES = {"prefill": "kv_producer", "decode": "kv_consumer"}
"""kv_role of each role: who writes KV cache, and who reads it (vllm/config/kv_transfer.py)."""
TOP_KEYS = frozenset(
    {
        "kv_buffer_device", "kv_buffer_size", "kv_load_failure_policy", "kv_rank", "kv_parallel_size", "kv_ip",
        "kv_connector_module_path", "enable_permute_local_kv", "engine_id",
    }
)  # fmt: skip
"""Fields of vllm/config/kv_transfer.py, KVTransferConfig, besides those that follow from the roles."""


class Inner(NamedTuple):
    """One connector of a config, and where its part of the config stands."""

    name: str
    config: Mapping[str, Any]
    path: Path


def inner_connectors(config: Mapping[str, Any]) -> Iterator[Inner]:
    """The connectors of a config: itself, or those inside of a MultiConnector, at any depth."""
    name = str(config.get("kv_connector", ""))
    extra = config.get(EXTRA)
    inside = extra.get("connectors") if isinstance(extra, Mapping) else None
    if name != MULTI or not isinstance(inside, list):
        yield Inner(name, config, ())
        return
    for index, part in enumerate(inside):
        if isinstance(part, Mapping):
            for inner in inner_connectors(part):
                yield inner._replace(path=(EXTRA, "connectors", index, *inner.path))


def carrying(config: Mapping[str, Any], facts: EngineFacts) -> Inner | None:
    """The connector of a config that carries KV cache between the roles.

    Where none of a known protocol is among them: the first that the release does not know, else the only one.
    """
    inner = list(inner_connectors(config))
    between_roles = [part for part in inner if facts.connectors.get(part.name) in CARRYING]
    if between_roles:
        return between_roles[0]
    unknown = [part for part in inner if not facts.connectors.get(part.name)]
    return unknown[0] if unknown else inner[0] if len(inner) == 1 else None


def protocol_of(name: str, extra: Mapping[str, Any], facts: EngineFacts) -> str:
    """The order in which the proxy asks the roles, prefill first where nothing else is known.

    A pool that hands over layer by layer waits for the proxy's metaserver, as the layerwise connector does
    (vllm-ascend docs user_guide/feature_guide/layerwise_kv_pool.md, PD Disaggregation).
    """
    protocol = facts.connectors.get(name, "")
    if protocol == POOL and extra.get("use_layerwise") is True:
        return CARRYING[1]
    return protocol if protocol in CARRYING else CARRYING[0]


def pasted_port(config: Any, facts: EngineFacts) -> tuple[int, Path] | None:
    """The first KV port that a pasted config names, and where in the config it stands."""
    part = carrying(config, facts) if isinstance(config, Mapping) else None
    text = str(part.config.get("kv_port", "")) if part else ""
    return (int(text), (*part.path, "kv_port")) if part and text.isascii() and text.isdigit() else None


def pasted_connector(config: Any, facts: EngineFacts) -> str | None:
    """The connector that a pasted config names for the transfer between the roles."""
    part = carrying(config, facts) if isinstance(config, Mapping) else None
    return part.name or None if part else None
