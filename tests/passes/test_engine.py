"""The command line of the engine: flags and the KV transfer config."""

from __future__ import annotations

import json

import pytest

from stormc.model.app import Role
from tests.samples import app, container, storm


def arguments(overlay: str, role: str) -> dict[str, str | None]:
    """The vLLM flags of a role as flag → value, None for a switch."""
    args = container(storm(overlay), role)["args"]
    command = args.index("--")
    ranks = role_of(overlay, role)
    option = [f"--independent={ranks.local_ranks}"] if ranks.independent else ["--external-dp"]
    assert args[:command] == (option if ranks.distributed_dp else [])
    assert args[command + 1 : command + 4] == ["vllm", "serve", "/mnt/models/Qwen3-30B-A3B"]
    return {flag: value if eq else None for flag, eq, value in (arg.partition("=") for arg in args[command + 4 :])}


def role_of(overlay: str, name: str) -> Role:
    return next(role for role in app(overlay).serving_roles if role.name == name)


FLAGS = [
    ("{}", "prefill", "--tensor-parallel-size", "8"),
    ("{}", "prefill", "--data-parallel-size", "2"),
    ("prefill: {engineArgs: {enforce-eager: true}}", "prefill", "--enforce-eager", None),
    ("{}", "prefill", "--data-parallel-rpc-port", "13389"),
    ("engine: {args: {max-num-seqs: 16}}", "decode", "--max-num-seqs", "16"),
    ("engine: {args: {max-num-seqs: 16}}\ndecode: {engineArgs: {max_num_seqs: 8}}", "decode", "--max-num-seqs", "8"),
    ("decode: {engineArgs: {enable-prefix-caching: false}}", "decode", "--no-enable-prefix-caching", None),
    ("decode: {engineArgs: {no-enable-prefix-caching: false}}", "decode", "--enable-prefix-caching", None),
    (
        "decode: {engineArgs: {speculative-config: {method: mtp}, speculative-config.num_speculative_tokens: 3}}",
        "decode",
        "--speculative-config",
        '{"method":"mtp","num_speculative_tokens":3}',
    ),
    ("decode: {engineArgs: {attention_config.kv-dtype: int4}}", "decode", "--attention-config.kv_dtype", "int4"),
    ("decode: {engineArgs: {profiler-config.a.b: '[1, 2]'}}", "decode", "--profiler-config.a.b", "[1,2]"),
    ("decode: {engineArgs: {profiler-config.c+: 'x,y'}}", "decode", "--profiler-config.c", '["x","y"]'),
    ("{engine: {args: {x-y.k: 5}}, decode: {engineArgs: {x-y.j: true}}}", "decode", "--x-y.j", "true"),
    ("{engine: {args: {x-y.k: 5}}, decode: {engineArgs: {x-y.j: true}}}", "decode", "--x-y.k", "5"),
    (
        'decode: {engineArgs: {compilation-config: \'{"cudagraph_mode": "NONE"}\'}}',
        "decode",
        "--compilation-config",
        '{"cudagraph_mode":"NONE"}',
    ),
    (
        "{engine: {args: {hf-overrides: {a: 1}}}, decode: {engineArgs: {hf-overrides.b: 2}}}",
        "decode",
        "--hf-overrides",
        '{"a":1,"b":2}',
    ),
    ("prefill: {tensorParallel: 4, pipelineParallel: 2}", "prefill", "--pipeline-parallel-size", "2"),
    (
        "prefill: {tensorParallel: 8, engineArgs: {decode-context-parallel-size: 2}}",
        "prefill",
        "--decode-context-parallel-size",
        "2",
    ),
    ("{port: 9000, decode: {port: 7200}}", "decode", "--port", "7200"),
    ("port: 9000", "decode", "--port", "9000"),
    ("{}", "decode", "--served-model-name", "qwen3-moe"),
    ("expertParallel: true", "decode", "--enable-expert-parallel", None),
    ("decode: {engineArgs: {max-num-seqs: 64}}", "decode", "--max-num-seqs", "64"),
    ("decode: {engineArgs: {quantization: ascend}}", "decode", "--quantization", "ascend"),
    ("decode: {engineArgs: {additional-config: {b: 1, a: [x]}}}", "decode", "--additional-config", '{"a":["x"],"b":1}'),
    ("decode: {distributedDp: false}", "decode", "--data-parallel-size-local", "16"),
    ("decode: {distributedDp: false}", "decode", "--data-parallel-rpc-port", "5964"),
]


@pytest.mark.parametrize(("overlay", "role", "flag", "value"), FLAGS)
def test_flags_follow_from_the_fields(overlay: str, role: str, flag: str, value: str | None) -> None:
    flags = arguments(overlay, role)
    assert flag in flags
    assert flags[flag] == value


ABSENT = [
    ("{}", "prefill", "--enable-expert-parallel"),
    ("{}", "prefill", "--max-num-seqs"),
    ("{}", "decode", "--enforce-eager"),
    ("{}", "decode", "--data-parallel-size-local"),
    (
        "{engine: {args: {enforce-eager: true}}, prefill: {engineArgs: {enforce-eager: null}}}",
        "prefill",
        "--enforce-eager",
    ),
    ("prefill: {engineArgs: {host: null}}", "prefill", "--host"),
    (
        "{engine: {args: {no-enable-prefix-caching: true}}, prefill: {engineArgs: {enable-prefix-caching: true}}}",
        "prefill",
        "--no-enable-prefix-caching",
    ),
    ("{model: {moe: false}}", "prefill", "--data-parallel-size"),
    ("{}", "prefill", "--max-model-len"),
    ("{}", "prefill", "--trust-remote-code"),
    ("{}", "prefill", "--seed"),
    ("prefill: {dataParallel: 1, tensorParallel: 16}", "prefill", "--data-parallel-size"),
]


@pytest.mark.parametrize(("overlay", "role", "flag"), ABSENT)
def test_flags_that_nothing_asks_for_are_absent(overlay: str, role: str, flag: str) -> None:
    assert flag not in arguments(overlay, role)


@pytest.mark.parametrize("connector", ["MooncakeLayerwiseConnector", "MooncakeConnectorV1"])
def test_kv_transfer_configs_agree(connector: str) -> None:
    overlay = f"kvTransfer: {{connector: {connector}}}"
    configs = [json.loads(arguments(overlay, role)["--kv-transfer-config"] or "") for role in ("prefill", "decode")]
    assert [config.pop("kv_role") for config in configs] == ["kv_producer", "kv_consumer"]
    assert configs[0] == configs[1] == {
        "kv_connector": connector,
        "kv_port": "36000",
        "kv_connector_extra_config": {"prefill": {"dp_size": 2, "tp_size": 8}, "decode": {"dp_size": 32, "tp_size": 1}},
    }  # fmt: skip


def test_extra_settings_of_the_connector_stand_where_vllm_looks_for_them() -> None:
    overlay = "kvTransfer: {extra: {kv_buffer_size: 5, use_ascend_direct: true, connectors: []}}"
    config = json.loads(arguments(overlay, "prefill")["--kv-transfer-config"] or "")
    inner = config.pop("kv_connector_extra_config")
    assert config["kv_buffer_size"] == 5 and "use_ascend_direct" not in config
    assert inner["use_ascend_direct"] is True and not {"kv_buffer_size", "connectors"} & inner.keys()


def test_kv_port_comes_from_the_profile_unless_given() -> None:
    assert app("hardware: atlas-800i-a2").decode.kv_port == 28000
    assert app("kvTransfer: {port: 30100}").decode.kv_port == 30100
    assert app("{kvTransfer: {port: 30100}, decode: {kvPort: 30200}}").decode.kv_port == 30200
    assert app("{kvTransfer: {port: 30100}, decode: {kvPort: 30200}}").prefill.kv_port == 30100


PASTED = """
prefill: {engineArgs: {kv-transfer-config: {kv_connector: MooncakeConnectorV1, kv_role: kv_producer, kv_port: "55880",
  engine_id: "0", kv_connector_extra_config: {use_ascend_direct: true}}}}
"""


def test_a_pasted_config_is_completed_and_its_facts_hold_for_both_roles() -> None:
    mine, theirs = (json.loads(arguments(PASTED, r)["--kv-transfer-config"] or "") for r in ("prefill", "decode"))
    sizes = {"prefill": {"dp_size": 2, "tp_size": 8}, "decode": {"dp_size": 32, "tp_size": 1}}
    assert mine == {
        "kv_connector": "MooncakeConnectorV1", "kv_role": "kv_producer", "kv_port": "55880", "engine_id": "0",
        "kv_connector_extra_config": {"use_ascend_direct": True, **sizes},
    }  # fmt: skip
    assert (theirs["kv_connector"], theirs["kv_port"]) == ("MooncakeConnectorV1", "36000")
    assert app(PASTED).kv.protocol == "prefill-first"


def test_the_protocol_follows_from_the_connector() -> None:
    image = "image: vllm-ascend:v0.23.0\n"
    for connector, mode in [
        ("MooncakeConnectorV1", "standard"), ("MooncakeLayerwiseConnector", "layerwise"),
        ("MooncakeHybridConnector", "standard"), ("MooncakeConnector", "standard"),
    ]:  # fmt: skip
        service = storm(f"{image}kvTransfer: {{connector: {connector}}}")
        assert f"--mode={mode}" in container(service, "routing")["args"]


def test_a_pool_stands_beside_the_connector_between_the_roles() -> None:
    overlay = """{image: "vllm-ascend:v0.23.0", kvTransfer: {connector: MooncakeConnectorV1,
      extra: {use_ascend_direct: true, kv_buffer_device: npu, prefill: {pp_layer_partition: "20,21"}},
      pool: {connector: AscendStoreConnector, extra: {backend: mooncake}}}}"""
    config = json.loads(arguments(overlay, "decode")["--kv-transfer-config"] or "")
    between, pool = config["kv_connector_extra_config"]["connectors"]
    assert (config["kv_connector"], config["kv_role"]) == ("MultiConnector", "kv_consumer")
    assert (between["kv_port"], between["kv_buffer_device"]) == ("36000", "npu")
    assert between["kv_connector_extra_config"]["prefill"] == {
        "dp_size": 2, "tp_size": 8, "pp_layer_partition": "20,21"
    }  # fmt: skip
    assert pool == {
        "kv_connector": "AscendStoreConnector", "kv_role": "kv_consumer",
        "kv_connector_extra_config": {"backend": "mooncake"},
    }  # fmt: skip


def test_ranks_of_a_dense_model_start_as_independent_engines() -> None:
    config = json.loads(arguments("model: {moe: false}", "decode")["--kv-transfer-config"] or "")
    sizes = config["kv_connector_extra_config"]
    assert sizes == {"prefill": {"dp_size": 1, "tp_size": 8}, "decode": {"dp_size": 1, "tp_size": 1}}


def test_words_follow_their_flag() -> None:
    args = container(storm("decode: {engineArgs: {cudagraph-capture-sizes: [1, 2, 4]}, }\nimage: v:v0.23.0"), "decode")
    words = args["args"]
    at = words.index("--cudagraph-capture-sizes")
    assert words[at + 1 : at + 4] == ["1", "2", "4"]
