"""The KV-transfer config: how prefill hands its KV cache to decode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.finding import Path
from stormc.model import kv
from stormc.model.app import App, Role
from stormc.model.flags import deep_merge
from stormc.passes.because import ROLE

_SIZES = ("dataParallel", "tensorParallel", "pipelineParallel", "distributedDp")
_PASTED = (kv.CONFIG, "pipeline-parallel-size")
KV_FIELDS: tuple[Path, ...] = (
    *(("kvTransfer", field) for field in ("connector", "extra", "pool")),
    (ROLE, "kvPort"),
    *((role, field) for role in kv.KV_ROLES for field in _SIZES),
    *((role, "engineArgs", flag) for role in kv.KV_ROLES for flag in _PASTED),
    *(("engine", "args", flag) for flag in _PASTED),
    ("model", "moe"),
    ("hardware",),
)
"""The spec fields that the config is made of; in a pasted one the user's own words hold."""


def kv_transfer_config(app: App, role: Role) -> Any:
    """The KV-transfer config of a role; the sizes of both roles stand in it and agree in both by construction.

    A pasted config stays as it is, but for what it leaves open. engine_id is left to the plugin, which makes it
    unique (vllm-ascend vllm_ascend/platform.py).
    """
    pasted = role.engine_args.get(kv.CONFIG)
    if isinstance(pasted, Mapping):
        return completed(pasted, app, role)
    own = _own(app, role)
    if app.kv.connector == kv.MULTI:
        multi = {"kv_connector": kv.MULTI, "kv_role": kv.KV_ROLES[role.name], kv.EXTRA: dict(app.kv.extra)}
        return completed(multi, app, role)
    if app.kv.pool is None:
        return own if pasted is None else pasted
    pool = {"kv_connector": app.kv.pool["connector"], "kv_role": kv.KV_ROLES[role.name]}
    if "extra" in app.kv.pool:
        pool[kv.EXTRA] = app.kv.pool["extra"]
    return {"kv_connector": kv.MULTI, "kv_role": kv.KV_ROLES[role.name], kv.EXTRA: {"connectors": [own, pool]}}


def _own(app: App, role: Role, name: str = "") -> dict[str, Any]:
    """The config of the connector between the roles. kv_port is the first of `role.kv_ports`."""
    sizes = {other.name: _sizes(other) for other in app.serving_roles}
    top = {key: value for key, value in app.kv.extra.items() if key in kv.TOP_KEYS}
    extra = {key: value for key, value in app.kv.extra.items() if key not in kv.TOP_KEYS and key != "connectors"}
    name = name or app.kv.connector
    if role.facts.connectors.get(name) == kv.POOL:  # the roles meet in the pool and know nothing of each other
        return {"kv_connector": name, "kv_role": kv.KV_ROLES[role.name], **top, kv.EXTRA: extra}
    return {
        "kv_connector": name,
        "kv_role": kv.KV_ROLES[role.name],
        "kv_port": str(role.kv_port),
        **top,
        kv.EXTRA: deep_merge({**app.profile.kv_extra, **sizes}, extra),
    }


def _sizes(role: Role) -> dict[str, int]:
    stages = {"pp_size": role.pipeline_parallel} if role.pipeline_parallel > 1 else {}
    return {"dp_size": role.kv_ranks, "tp_size": role.tensor_parallel, **stages}


def completed(config: Mapping[str, Any], app: App, role: Role) -> dict[str, Any]:
    """A pasted config with the role, the port and the sizes where it does not say them."""
    part = kv.carrying(config, role.facts)
    if part is None:
        return dict(config)
    full = deep_merge(_own(app, role, part.name), part.config)
    return full if not part.path else _with({"kv_role": kv.KV_ROLES[role.name], **config}, part.path, full)


def _with(node: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [_with(item, rest, value) if index == step else item for index, item in enumerate(node)]
    return {**node, step: _with(node[step], rest, value)}
