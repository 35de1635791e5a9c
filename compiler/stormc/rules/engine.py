"""What vLLM is told: flags that the layout owns, KV transfer, ports, and environment that expands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts import limits
from stormc.facts.keys import Env
from stormc.facts.known_keys import ENV, Use
from stormc.finding import Path
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.rules.finished import Finished, environment
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role

# vLLM flag → the spec field that sets it; an empty one means that the launcher sets it for each rank.
FLAGS: Mapping[str, str] = {
    "port": "port",
    "model": "model.path",
    "served-model-name": "model.name",
    "tensor-parallel-size": "tensorParallel",
    "data-parallel-size": "dataParallel",
    "data-parallel-size-local": "podGroupSize",
    "enable-expert-parallel": "expertParallel",
    "data-parallel-rank": "",
    "data-parallel-start-rank": "",
    "data-parallel-address": "",
    "headless": "",
    "data-parallel-external-lb": "",
    "data-parallel-hybrid-lb": "",
    "pipeline-parallel-size": "",
    "api-server-count": "",
}
KV_CONFIG = "kv-transfer-config"


def check_flags(app: App, platform: Platform) -> Iterator[Violation]:
    """engineArgs leave to the spec's fields what ports, ranks and Services are derived from.

    The proxy, the Services and the launcher are made from the fields. With another value in the flag alone the engine
    listens where nobody asks, or waits for ranks that nobody starts.
    """
    for role in app.serving_roles:
        for flag in role.engine_args.keys() & FLAGS.keys():
            field = FLAGS[flag]
            yield Violation((role.name, "engineArgs", flag), f"{role.name}.engineArgs.{flag} is set by stormc",
                            f"use {field}" if field else "remove it", at_key=True)  # fmt: skip


def check_kv_config(app: App, platform: Platform) -> Iterator[Violation]:
    """Prefill and decode agree on KV transfer.

    A kv-transfer-config of the user's own replaces stormc's. Connector, role, port and the sizes of both roles stand in
    that of each, and the proxy speaks the protocol of the connector: where they differ requests hang at their first
    token, with every pod healthy. An engine_id that two instances have mixes up their KV cache.
    """
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


ASCEND_DIRECT_FIRST = 20000
ASCEND_DIRECT_PER_NPU = 1000


def check_kv_port(app: App, platform: Platform) -> Iterator[Violation]:
    """kvTransfer.port stays clear of the ports that AscendDirect takes.

    The driver uses 20000 + 1000 per NPU of the node. Inside that range engines fail now and then with "Address already
    in use", more often the more NPUs are busy.
    """
    above = ASCEND_DIRECT_FIRST + ASCEND_DIRECT_PER_NPU * app.profile.npus
    if ASCEND_DIRECT_FIRST <= app.kv_port < above:
        yield Violation(("kvTransfer", "port"), f"kvTransfer.port {app.kv_port} lies in {ASCEND_DIRECT_FIRST}…"
                        f"{above - 1}, the driver's own ports", f"use {app.profile.kv_port}")  # fmt: skip


def check_kv_range(app: App, platform: Platform) -> Iterator[Violation]:
    """The KV ports of a role exist and are not those of its ranks.

    A role uses kvTransfer.port and as many more as dataParallel × tensorParallel; the ranks of the same pod listen on
    port and above. The second process on a port does not start.
    """
    for role in app.serving_roles:
        last = app.kv_port + role.data_parallel * role.tensor_parallel - 1
        ranks = app.port + (role.local_ranks if role.distributed_dp else 1) - 1
        if last > limits.PORT_MAX:
            yield Violation(("kvTransfer", "port"), f"{role.name} needs KV ports {app.kv_port}…{last}",
                            f"at most {limits.PORT_MAX - (last - app.kv_port)}")  # fmt: skip
            return
        if app.kv_port <= ranks and app.port <= last:
            yield Violation(("kvTransfer", "port"), f"KV ports {app.kv_port}…{last} of {role.name} meet its ranks on "
                            f"{app.port}…{ranks}", "move port or kvTransfer.port")  # fmt: skip
            return


def check_script(app: App, platform: Platform) -> Iterator[Violation]:
    """A start script returns the exit code of the engine.

    The k8s-deploy-tool's start_server.sh ends with 0 when a rank dies: the pod counts as succeeded, Volcano sees no
    fault and nothing is restarted.
    """
    script, command = app.engine.script, app.engine.command or ()
    path: Path = ("engine", "script", "command") if script else ("engine", "command")
    if any("start_server.sh" in word for word in ([script.command] if script else command)):
        yield Violation(path, "start_server.sh hides the exit code of a rank that died",
                        f"leave engine.{path[1]} out: stormc's launcher returns it")  # fmt: skip


_REFERENCE = re.compile(r"(\$*)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def check_references(finished: Finished) -> Iterator[Violation]:
    """`$(NAME)` in an environment variable names one that stands before it.

    The kubelet expands only earlier variables, and AIBrix sorts all of them by name up to v0.6, with those of the pod
    group last: a reference to a later name reaches the engine as literal text.
    """
    app = finished.app
    if not app.overrides and not any(r.env for r in (*app.serving_roles, app.routing)):
        return
    for template in finished.templates:
        entries = list(environment(template))
        for container, name, entry in entries:
            known = {other for where, other, _ in entries if where == container}
            for escapes, wanted in _REFERENCE.findall(str(entry.get("value", ""))):
                if len(escapes) % 2:
                    continue
                builtin = wanted in ENV and ENV[wanted].use is Use.CONTROLLER and wanted != Env.POD_IP
                grouped = wanted in (Env.PODSET_NAME, Env.POD_GROUP_INDEX, Env.POD_GROUP_SIZE)
                early = builtin if finished.platform.aibrix >= "v0.7" else builtin and not grouped and wanted < name
                if not early and not (wanted in known and wanted < name):
                    path = finished.wrote_env(template.role, container, name)
                    yield Violation(path, f"$({wanted}) in {name} stays literal",
                                    "expand it in a command, or use valueFrom in an override")  # fmt: skip


def check_model_label(app: App, platform: Platform) -> Iterator[Violation]:
    """With a gateway, model.name is a label value.

    AIBrix's gateway finds pods by the label model.aibrix.ai/name, and the API server refuses pods whose label has a
    slash or more than 63 characters.
    """
    if app.gateway != "off" and not _LABEL.fullmatch(app.model.name):
        yield Violation(("model", "name"), f"model.name {app.model.name} is no label value, as gateway {app.gateway} "
                        "needs it", "set gateway: off, or choose a name without '/' of at most 63 characters"
                        )  # fmt: skip


_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

_KV = (
    "decode: {engineArgs: {kv-transfer-config: {kv_connector: MooncakeLayerwiseConnector, kv_role: kv_consumer, "
    "kv_port: %s, kv_connector_extra_config: {prefill: {dp_size: 2, tp_size: 8}, "
    "decode: {dp_size: %s, tp_size: 1}}%s}}}"
)
_PD = "vllm-ascend docs tutorials/features/pd_disaggregation_mooncake_multi_node.md"

RULES = (
    Rule(
        "E050", check_flags, "vllm serve --help; compiler/stormc/payload/launch.py",
        bad=(Example("decode: {engineArgs: {data-parallel-size: 16}}", "decode.engineArgs.data-parallel-size"),
             Example("prefill: {engineArgs: {port: 9000}}", "prefill.engineArgs.port"),
             Example("prefill: {engineArgs: {pipeline-parallel-size: 2}}",
                     "prefill.engineArgs.pipeline-parallel-size")),
        good=(Example("decode: {engineArgs: {max-model-len: 8192, data-parallel-rpc-port: 14000}}"),),
    ),
    Rule(
        "E039", check_kv_config, f"{_PD}; k8s-deploy-tool start_server.sh",
        bad=(
            Example("decode: {engineArgs: {kv-transfer-config: {kv_connector: MooncakeConnectorV1}}}",
                    "decode.engineArgs.kv-transfer-config.kv_connector"),
            Example("decode: {engineArgs: {kv-transfer-config: null}}", "decode.engineArgs.kv-transfer-config"),
            Example("prefill: {engineArgs: {kv-transfer-config: {kv_connector: MooncakeLayerwiseConnector, "
                    "kv_role: kv_consumer}}}", "prefill.engineArgs.kv-transfer-config.kv_role"),
            Example(_KV % ("'36000'", 16, ""),
                    "decode.engineArgs.kv-transfer-config.kv_connector_extra_config.decode.dp_size"),
            Example(_KV.replace("decode: {", "decode: {replicas: 2, ", 1) % ("'36000'", 32, ", engine_id: a"),
                    "decode.engineArgs.kv-transfer-config.engine_id"),
        ),
        good=(Example(_KV % (36000, 32, ", kv_buffer_device: npu")), Example(_KV % ("'36000'", 32, ", engine_id: a"))),
    ),
    Rule(
        "W038", check_kv_port, f"{_PD}: 20000 + 1000 × NPUs per node",
        bad=(Example("kvTransfer: {port: 30000}", "kvTransfer.port"),),
        good=(Example("kvTransfer: {port: 36000}"),),
    ),
    Rule(
        "E038", check_kv_range,
        "vllm-ascend vllm_ascend/distributed/kv_transfer/kv_p2p/mooncake_layerwise_connector.py",
        bad=(Example("kvTransfer: {port: 65530}", "kvTransfer.port"),
             Example("{port: 36010, kvTransfer: {port: 36000}}", "kvTransfer.port")),
        good=(Example("{port: 36100, kvTransfer: {port: 36000}}"),),
    ),
    Rule(
        "W043", check_script, "k8s-deploy-tool example/scripts/start_server.sh",
        bad=(Example("engine: {script: {hostPath: /scripts, command: bash start_server.sh}}",
                     "engine.script.command"),
             Example("engine: {command: [bash, /scripts/start_server.sh]}", "engine.command")),
        good=(Example("engine: {script: {hostPath: /scripts, command: exec ./serve}}"),),
    ),
    Rule(
        "E058", check_references, "AIBrix v0.5.0 pkg/controller/roleset/utils.go:217-224, issues 2108, 2114",
        bad=(
            Example("decode: {env: {HCCL_IF_IP: $(POD_IP)}}", "decode.env.HCCL_IF_IP"),
            Example("decode: {env: {RANK: $(POD_GROUP_INDEX)}}", "decode.env.RANK"),
            Example(in_role("decode", "{spec: {containers: [{name: decode, env: [{name: X, value: $(Y)}]}]}}"),
                    f"{IN_ROLE}.spec.containers[0].env[0]"),
        ),
        good=(Example("decode: {env: {VLLM_HOST_IP: $(POD_IP), SELF: $(ROLE_NAME), PRICE: $$(X)}}"),
              Example("decode: {env: {AAA: $(ROLE_NAME)}}", platform="aibrix: v0.7.0")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E065", check_model_label, "AIBrix v0.5.0 pkg/cache/informers.go:96-124; Kubernetes label syntax",
        bad=(Example("model: {name: Qwen/Qwen3-8B}", "model.name"),),
        good=(Example("{gateway: 'off', model: {name: Qwen/Qwen3-8B}}"), Example("model: {name: Qwen3-8B}")),
    ),
)  # fmt: skip
