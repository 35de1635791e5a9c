"""The vLLM flags of a role: what the layout demands, two defaults, and the user's own over both.

What stormc adds by itself stands in docs/spec.md, "What stormc adds"; null removes each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts import limits
from stormc.finding import Path
from stormc.model import kv
from stormc.model.app import App, Role
from stormc.passes.because import FLAG, ROLE, Because
from stormc.passes.engine.kv_transfer import KV_FIELDS, kv_transfer_config
from stormc.record import NamedTuple

DEFAULTS: dict[str, Any] = {
    "host": "0.0.0.0",  # probes and Services reach the engine at the address of the pod
    "distributed-executor-backend": "mp",  # vLLM would look for a Ray cluster where one rank has several nodes
}
TOGETHER = frozenset({"data-parallel-size", "data-parallel-size-local", "data-parallel-rpc-port"})
"""Flags by which ranks find each other; an independent engine must not get them."""

ARGUMENTS_EXIST: tuple[Path, ...] = (("engine", "command"), ("engine", "script"))
"""There are no arguments where the user has a command or a script."""
USER_FLAGS: tuple[Path, ...] = ((ROLE, "engineArgs", FLAG), ("engine", "args", FLAG))
"""Where the user gives a flag: the role's own wins."""
RANKS, EXTERNAL, POD_GROUP_SIZE = (ROLE, "dataParallel"), (ROLE, "distributedDp"), (ROLE, "podGroupSize")
APART: tuple[Path, ...] = (("model", "moe"), RANKS, EXTERNAL)
"""The fields that decide whether the ranks are independent engines."""
VLLM, START_SERVER = "vllm serve", "MindCluster k8s-deploy-tool example/scripts/start_server.sh"


def _standard(*fields: Path, source: str = VLLM, exists_if: tuple[Path, ...] = (), fact: str = "") -> Because:
    """The reason of a flag that stormc writes; the user's own of the same name would replace it."""
    return Because((*USER_FLAGS, *fields), fact, source, (*ARGUMENTS_EXIST, *exists_if))


BY_USER = Because(USER_FLAGS, "engine.flags", VLLM, ARGUMENTS_EXIST)
BY_USER_TOGETHER = BY_USER._replace(exists_if=(*ARGUMENTS_EXIST, *APART))
DEFAULT = _standard(source="docs/spec.md, What stormc adds", fact="default")
LAYOUT: dict[str, Because] = {
    "served-model-name": _standard(("model", "name")),
    "port": _standard((ROLE, "port")),
    "tensor-parallel-size": _standard((ROLE, "tensorParallel")),
    "pipeline-parallel-size": _standard((ROLE, "pipelineParallel")),
    "prefill-context-parallel-size": _standard((ROLE, "prefillContextParallel")),
    "decode-context-parallel-size": _standard((ROLE, "decodeContextParallel")),
    "enable-expert-parallel": _standard(("expertParallel",)),
    "data-parallel-size": _standard(RANKS, exists_if=APART),
    "data-parallel-size-local": _standard(RANKS, POD_GROUP_SIZE, source=START_SERVER, exists_if=APART),
    "data-parallel-rpc-port": _standard(source=START_SERVER, exists_if=APART, fact="default"),
    kv.CONFIG: _standard(*KV_FIELDS, source="vllm/config/kv_transfer.py", fact="engine.connectors"),
}


class Flag(NamedTuple):
    """A flag of `vllm serve` without its `--`: its value, why, and the value of stormc's that it replaces."""

    name: str
    value: Any
    because: Because
    replaced: tuple[Any, Because] | None = None


def flags(app: App, role: Role) -> Iterator[Flag]:
    """The flags of a role in their order; false stands for the negation, and what is null is left out."""
    standard, user = _of_stormc(app, role), dict(sorted(role.engine_args.items()))
    if user.get(kv.CONFIG) is not None:
        del user[kv.CONFIG]  # it is part of the standard value
    for name in dict.fromkeys((*standard, *user)):
        if role.independent and name in TOGETHER:
            continue
        because = LAYOUT.get(name, DEFAULT)
        if name not in user:
            yield Flag(name, standard[name], because)
        else:
            replaced = (standard[name], because) if name in standard else None
            yield Flag(name, user[name], BY_USER_TOGETHER if name in TOGETHER else BY_USER, replaced)


def _of_stormc(app: App, role: Role) -> dict[str, Any]:
    return {
        "served-model-name": app.model.name,
        "port": role.port,
        **DEFAULTS,
        **_sizes(app, role),
        kv.CONFIG: kv_transfer_config(app, role),
    }


def _sizes(app: App, role: Role) -> dict[str, Any]:
    """The flags that tell vLLM how many ranks there are, and how many NPUs each takes."""
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
            sizes["data-parallel-rpc-port"] = limits.EXTERNAL_RPC_PORT
        else:
            sizes["data-parallel-size-local"] = role.local_ranks
            sizes["data-parallel-rpc-port"] = limits.INTERNAL_RPC_PORTS[role.name]
    return sizes
