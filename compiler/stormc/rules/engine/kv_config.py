"""Prefill and decode agree on KV transfer.

A kv-transfer-config in the spec replaces stormc's. It names the connector, the role and the sizes of both roles; of a
MultiConnector, the inner connector that carries KV cache between the roles names them. The proxy speaks the protocol
of the connector. Where prefill and decode differ, requests hang at their first token with every pod healthy, or the
engine does not start. Two instances with the same engine_id mix up their KV cache, up to vllm-ascend 0.12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.model.app import App, Role
from stormc.model.kv import CONFIG, EXTRA, KV_ROLES, MULTI, carrying
from stormc.phrase import phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

SIZED = frozenset({"prefill", "decode", "connectors"})
"""Keys of kvTransfer.extra that say what follows from the roles."""


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        by_fields = not run.own_command and CONFIG not in run.role.engine_args
        if by_fields and not service.app.kv.extra.keys() & SIZED:
            continue
        config = run.flags.get(CONFIG)
        if not run.launched and "Mooncake" not in str(config):
            continue  # another engine's command, of which nothing is known
        if isinstance(config, dict):
            yield from _config(service.app, run, config)
        elif not isinstance(config, str):
            text = phrase("{role} has no KV transfer", role=run.role.name)
            given = phrase("remove the flag, or write a mapping")
            hint = phrase("pass --kv-transfer-config with {connector}", connector=service.app.connector)
            yield Violation(run.at(CONFIG), text, hint if config is None and run.own_command else given)


def _config(app: App, run: Run, config: Mapping[str, Any]) -> Iterator[Violation]:
    """The first thing that is wrong with a config."""
    role = run.role
    part = carrying(config, role.facts)
    if run.own_command and not config.get("kv_connector"):
        text = phrase("{role}: kv-transfer-config of the command names no kv_connector", role=role.name)
        hint = phrase("name {connector}; nobody completes the config of a command", connector=app.connector)
        yield Violation(run.at(CONFIG), text, hint)
    elif part is None or (part.name not in ("", app.connector) and app.connector != MULTI):
        connector = part.name if part else str(config.get("kv_connector"))
        step = (*(part.path if part else ()), "kv_connector")
        text = phrase(
            "{role}: {named} does not carry KV cache as {connector} does",
            role=role.name,
            named=connector,
            connector=app.connector,
        )
        yield Violation(_inside(run, *step), text, phrase("name the same connector in both roles and in kvTransfer"))
    elif wrong := next(((w, v) for w, v in _kv_facts(role, app) if kv_value(part.config, w) not in (v, None)), None):
        steps, value = wrong
        text = phrase(
            "{role}: {steps} of kv-transfer-config is not {value}, as the roles have it",
            role=role.name,
            steps=".".join(steps),
            value=value,
        )
        yield Violation(_inside(run, *part.path, *steps), text, phrase("write {value}", value=value))
    elif (
        "engine_id" in config
        and "unique-engine-ids" not in role.facts.does
        and (role.replicas > 1 or _engine_id(app.prefill) == _engine_id(app.decode))
    ):
        text = phrase("several instances have engine_id {engine_id}", engine_id=config["engine_id"])
        yield Violation(_inside(run, "engine_id"), text, phrase("leave it out: the plugin makes one"))


def _inside(run: Run, *steps: str | int) -> Path:
    """A place inside the config, or the command line that holds it."""
    if run.own_command:
        return run.command_path
    if CONFIG not in run.role.flags and steps[:1] == (EXTRA,):
        return ("kvTransfer", "extra", *steps[1:])
    return (*run.at(CONFIG), *steps)


def _kv_facts(role: Role, app: App) -> Iterator[tuple[tuple[str, ...], str]]:
    """What may stand in the config of a role in one way only, and where."""
    yield ("kv_role",), KV_ROLES[role.name]
    yield from kv_sizes(role)


def kv_sizes(role: Role) -> Iterator[tuple[tuple[str, ...], str]]:
    """The paths of a role's sizes in a config, and the values that they must have."""
    yield (EXTRA, role.name, "tp_size"), str(role.tensor_parallel)
    yield (EXTRA, role.name, "pp_size"), str(role.pipeline_parallel)
    yield (EXTRA, role.name, "dp_size"), str(role.kv_ranks)


def kv_value(config: Any, steps: tuple[str, ...]) -> str | None:
    """The value at a path of a config as text; None where there is none."""
    for step in steps:
        config = config.get(step) if isinstance(config, Mapping) else None
    return None if config is None else str(config)


def _engine_id(role: Role) -> str | None:
    return kv_value(role.engine_args.get(CONFIG), ("engine_id",))


RULE = Rule(
    "E039", __doc__, check,
    source="vllm-ascend docs tutorials/features/pd_disaggregation_mooncake_multi_node.md; "
    "k8s-deploy-tool start_server.sh",
    bad=(
        Example("""
            kvTransfer:
              connector: MooncakeLayerwiseConnector
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
        Example("""
            kvTransfer:
              extra:
                decode:
                  tp_size: 8
            """, at="kvTransfer.extra.decode.tp_size"),
        Example(at="template.spec.containers[0].args", role="decode", template="""
            spec:
              containers:
              - name: decode
                args: [--external-dp, --, vllm, serve, /mnt/models/Qwen3-30B-A3B, '--kv-transfer-config={}']
            """),
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
    subject=Subject.MANIFESTS,
)  # fmt: skip
