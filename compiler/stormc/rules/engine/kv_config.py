"""Prefill and decode agree on KV transfer.

A kv-transfer-config of the user's own replaces stormc's. Connector, role, port and the sizes of both roles stand in
that of each, and the proxy speaks the protocol of the connector: where they differ requests hang at their first
token, with every pod healthy. An engine_id that two instances have mixes up their KV cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation

KV_CONFIG = "kv-transfer-config"


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if KV_CONFIG not in role.engine_args:
            continue
        path = (role.name, "engineArgs", KV_CONFIG)
        config = role.engine_args[KV_CONFIG]
        if not isinstance(config, dict):
            yield Violation(path, f"{role.name} has no KV transfer", "remove the flag, or write a mapping")
            continue
        wrong = next((steps for steps, value in _kv_facts(app, role) if _kv_value(config, steps) != value), None)
        if wrong:
            yield Violation((*path, *wrong), f"{role.name}: {'.'.join(wrong)} of kv-transfer-config is not what "
                            "kvTransfer and the roles say", "use kvTransfer")  # fmt: skip
        elif "engine_id" in config and (role.replicas > 1 or _engine_id(app.prefill) == _engine_id(app.decode)):
            yield Violation((*path, "engine_id"), f"several instances have engine_id {config['engine_id']}",
                            "leave it out: the plugin makes one")  # fmt: skip


def _kv_facts(app: App, role: Role) -> Iterator[tuple[tuple[str, ...], str]]:
    """What must stand in the config of a role, and where."""
    yield ("kv_connector",), app.connector
    yield ("kv_role",), "kv_producer" if role.name == "prefill" else "kv_consumer"
    yield ("kv_port",), str(app.kv_port)
    for other in app.serving_roles:
        yield ("kv_connector_extra_config", other.name, "dp_size"), str(other.data_parallel)
        yield ("kv_connector_extra_config", other.name, "tp_size"), str(other.tensor_parallel)


def _kv_value(config: Any, steps: tuple[str, ...]) -> str | None:
    for step in steps:
        config = config.get(step) if isinstance(config, dict) else None
    return None if config is None else str(config)


def _engine_id(role: Role) -> str | None:
    return _kv_value(role.engine_args.get(KV_CONFIG), ("engine_id",))


RULE = Rule(
    "E039", __doc__, check,
    source="vllm-ascend docs tutorials/features/pd_disaggregation_mooncake_multi_node.md; "
    "k8s-deploy-tool start_server.sh",
    bad=(
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeConnectorV1
            """, at="decode.engineArgs.kv-transfer-config.kv_connector"),
        Example("""
            decode:
              engineArgs:
                kv-transfer-config: null
            """, at="decode.engineArgs.kv-transfer-config"),
        Example("""
            prefill:
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeLayerwiseConnector
                  kv_role: kv_consumer
            """, at="prefill.engineArgs.kv-transfer-config.kv_role"),
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeLayerwiseConnector
                  kv_role: kv_consumer
                  kv_port: '36000'
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 8
                    decode:
                      dp_size: 16
                      tp_size: 1
            """, at="decode.engineArgs.kv-transfer-config.kv_connector_extra_config.decode.dp_size"),
        Example("""
            decode:
              replicas: 2
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeLayerwiseConnector
                  kv_role: kv_consumer
                  kv_port: '36000'
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 8
                    decode:
                      dp_size: 32
                      tp_size: 1
                  engine_id: a
            """, at="decode.engineArgs.kv-transfer-config.engine_id"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeLayerwiseConnector
                  kv_role: kv_consumer
                  kv_port: 36000
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 8
                    decode:
                      dp_size: 32
                      tp_size: 1
                  kv_buffer_device: npu
            """),
    ),
    good=(
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector: MooncakeLayerwiseConnector
                  kv_role: kv_consumer
                  kv_port: '36000'
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 8
                    decode:
                      dp_size: 32
                      tp_size: 1
                  engine_id: a
            """),
    ),
)  # fmt: skip
