"""engineArgs do not set ports, ranks and names that have a field in the spec.

The proxy, the Services and the launcher are made from the fields. With another value in the flag alone the engine
listens where nobody asks, or waits for ranks that nobody starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import shown
from stormc.model.app import App, Role
from stormc.model.flags import FIELDS_OF_FLAGS
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

FIELDS: Mapping[str, str] = {**FIELDS_OF_FLAGS, "model": "model.path", "served-model-name": "model.name"}
"""The flags that follow from a field of the spec, and the field."""
OF_THE_LAUNCHER = frozenset({
    "data-parallel-rank", "data-parallel-start-rank", "data-parallel-address", "headless", "data-parallel-external-lb",
    "data-parallel-hybrid-lb", "api-server-count", "nnodes", "node-rank", "master-addr", "data-parallel-backend",
    "data-parallel-multi-port-external-lb",
})  # fmt: skip
"""The flags that the launcher sets for each rank."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        neutral = _neutral(app, role)
        for flag in role.engine_args.keys() & (FIELDS.keys() | OF_THE_LAUNCHER):
            value = role.engine_args[flag]
            if flag in neutral and value == neutral[flag]:
                continue
            field = FIELDS.get(flag)
            set_to = phrase("the launcher sets it for each rank")
            if flag in neutral:
                set_to = phrase("stormc sets it to {value}", value=shown(neutral[flag]))
            yield Violation(
                role.flag_path(flag),
                phrase("{role}: {flag} is {value}, {told}", role=role.name, flag=flag, value=shown(value), told=set_to),
                phrase("use {field}", field=field) if field else phrase("remove it"),
                at_key=True,
            )
        host = str(role.engine_args.get("host", ""))
        if host in LOOPBACK:
            yield Violation(
                role.flag_path("host"),
                phrase("{role}: at {host} only the pod itself reaches the engine", role=role.name, host=host),
                phrase("remove it: probes, Services and the proxy ask the pod's address"),
            )


def _neutral(app: App, role: Role) -> dict[str, Any]:
    """The values of flags that say no more than the fields do."""
    return {
        "port": role.port,
        "model": app.model.path,
        "served-model-name": app.model.name,
        "tensor-parallel-size": role.tensor_parallel,
        "pipeline-parallel-size": role.pipeline_parallel,
        "prefill-context-parallel-size": role.prefill_context,
        "decode-context-parallel-size": role.decode_context,
        "data-parallel-size": role.data_parallel,
        "headless": False,
        "nnodes": 1,
        "node-rank": 0,
        "data-parallel-backend": "mp",
        "data-parallel-external-lb": False,
        "data-parallel-hybrid-lb": False,
        "data-parallel-multi-port-external-lb": False,
        **({"data-parallel-size-local": role.local_ranks} if not role.distributed_dp else {}),
        "api-server-count": 1 if role.distributed_dp else role.engine_args.get("api-server-count"),
    }


RULE = Rule(
    "E050", __doc__, check,
    source="vllm serve --help; compiler/stormc/payload/launch.py",
    bad=(
        Example("""
            decode:
              engineArgs:
                data-parallel-size: 16
            """, at="decode.engineArgs.data-parallel-size"),
        Example("""
            prefill:
              engineArgs:
                port: 9000
            """, at="prefill.engineArgs.port"),
        Example("""
            prefill:
              engineArgs:
                node_rank: 1
            """, at="prefill.engineArgs.node_rank"),
        Example("""
            engine:
              args:
                data-parallel-backend: ray
            """, at="engine.args.data-parallel-backend"),
        Example("""
            decode:
              engineArgs:
                host: 127.0.0.1
            """, at="decode.engineArgs.host"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-model-len: 8192
                data-parallel-rpc-port: 14000
            """),
    ),
)  # fmt: skip
