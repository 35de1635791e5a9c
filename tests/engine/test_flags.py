"""Flags as people paste them: what is accepted, and what is told at which place, for every way to give a flag."""

from __future__ import annotations

import pytest

from tests.engine.reported import reported
from tests.samples import container, storm

ACCEPTED = [
    "prefill: {engineArgs: {pipeline-parallel-size: 1, api-server-count: 1, nnodes: 1, data-parallel-backend: mp}}",
    "prefill: {engineArgs: {pipeline-parallel-size: '1', tensor-parallel-size: '8', max-num-seqs: '16'}}",
    "engine: {args: {enable_expert_parallel: true}}",
    "decode: {engineArgs: {enable-expert-parallel: true}}",
    "{engine: {args: {no-enable-prefix-caching: true}}, prefill: {engineArgs: {enable-prefix-caching: true}}}",
    "engine: {args: {enable-chunked-prefill: false, async-scheduling: 'false', trust_remote_code: false}}",
    "engine: {args: {cudagraph-capture-sizes: [1, 2, 4]}}",
    "engine: {args: {cudagraph_capture_sizes: '1 2 4'}}",
    "engine: {args: {max-model-len: 32k, quantization: None}}",
    'engine: {args: {lora-modules: [\'{"name": \', \'{"name": "a", "path": "/mnt/models/a"}\']}}',
    "decode: {engineArgs: {max-num-seqs: 64, max-num-batched-tokens: 64}}",
    "{volumes: [{persistentVolumeClaim: draft, mountPath: /data}], engine: {args: {tokenizer: /data/tokenizer}}}",
    'engine: {args: {speculative-config: \'{"method": "mtp", "num_speculative_tokens": 1}\'}}',
    "{prefill: {engineArgs: {speculative-config.num_speculative_tokens: 1, speculative-config.method: mtp}},"
    " decode: {engineArgs: {speculative_config: {method: mtp, num_speculative_tokens: 3}}}}",
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_a_flag_that_vllm_takes_is_accepted(spec: str) -> None:
    assert reported(spec) == set()


WRONG = [
    ("engine: {args: {max_num_seq: 4}}", ("W702", "engine.args.max_num_seq")),
    ("decode: {engineArgs: {enable-chunked-prefil: false}}", ("W702", "decode.engineArgs.enable-chunked-prefil")),
    ("engine: {args: {swap-space: 4}}", ("W702", "engine.args.swap-space")),
    ("prefill: {engineArgs: {disable-log-stats: false}}", ("W704", "prefill.engineArgs.disable-log-stats")),
    ("engine: {args: {max-num-seqs: few}}", ("E703", "engine.args.max-num-seqs")),
    ("engine: {args: {max-num-seqs: -64}}", ("E703", "engine.args.max-num-seqs")),
    ("engine: {args: {max-num-seqs: [1, 2]}}", ("E703", "engine.args.max-num-seqs")),
    ("engine: {args: {max-model-len: 1e5}}", ("E703", "engine.args.max-model-len")),
    ("decode: {engineArgs: {gpu-memory-utilization: 95}}", ("E703", "decode.engineArgs.gpu-memory-utilization")),
    ("engine: {args: {cudagraph-capture-sizes: [1, two]}}", ("E703", "engine.args.cudagraph-capture-sizes")),
    ("decode: {engineArgs: {compilation-config: '{\"a\": '}}", ("E703", "decode.engineArgs.compilation-config")),
    ("engine: {args: {dtype: fp16}}", ("E703", "engine.args.dtype")),
    ("decode: {engineArgs: {max-num-seqs: 64, max-num-batched-tokens: 8}}", ("E709", "decode.engineArgs.max-num-seqs")),
    (
        "{engine: {args: {max-num-seqs: 64}}, prefill: {engineArgs: {max-num-batched-tokens: '8'}}}",
        ("E709", "engine.args.max-num-seqs"),
    ),
    ("prefill: {engineArgs: {node-rank: 1}}", ("E050", "prefill.engineArgs.node-rank")),
    ("decode: {engineArgs: {data-parallel-size: '8'}}", ("E050", "decode.engineArgs.data-parallel-size")),
    ("decode: {engineArgs: {block-size: 128}}", ("W706", "decode.engineArgs.block-size")),
    ("prefill: {engineArgs: {kv-cache-dtype: int8}}", ("W706", "prefill.engineArgs.kv-cache-dtype")),
    ("decode: {engineArgs: {quantization: ascend}}", ("W706", "decode.engineArgs.quantization")),
    (
        "prefill: {engineArgs: {speculative-config: {method: ngram, num_speculative_tokens: 1}}}",
        ("W706", "prefill.engineArgs.speculative-config"),
    ),
    ("engine: {args: {lora-modules: ['a=/data/a']}}", ("W719", "engine.args.lora-modules")),
    ("engine: {args: {lora-modules: [{name: a, path: /data/a}]}}", ("W719", "engine.args.lora-modules")),
    ("engine: {args: {hf-config-path: /data/config}}", ("W719", "engine.args.hf-config-path")),
    (
        "prefill: {engineArgs: {additional-config: {scheduler_config: {recompute_scheduler_enable: true}}}}",
        ("W707", "prefill.engineArgs.additional-config"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "finding"), WRONG)
def test_a_flag_that_vllm_refuses_is_one_finding(spec: str, finding: tuple[str, str]) -> None:
    assert reported(spec) == {finding}


PASSED = [
    ("{engine: {args: {no-enable-prefix-caching: true}}, prefill: {engineArgs: {enable-prefix-caching: true}}}",
     "prefill", {"--enable-prefix-caching"}),
    ("engine: {args: {enable-prefix-caching: false, async-scheduling: false}}",
     "decode", {"--no-enable-prefix-caching", "--no-async-scheduling"}),
    ("{engine: {args: {async-scheduling: true}}, decode: {engineArgs: {async-scheduling: null}}}", "decode", set()),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "role", "switches"), PASSED)
def test_of_a_flag_and_its_opposite_one_is_passed(spec: str, role: str, switches: set[str]) -> None:
    args = container(storm(spec), role)["args"]
    assert {word for word in args if word.endswith(("prefix-caching", "async-scheduling"))} == switches


def test_sizes_that_are_none_break_no_rule() -> None:
    places = reported("{engine: {args: {tensor-parallel-size: 0}}, decode: {engineArgs: {tp: -4}}}")
    assert {("E050", "engine.args.tensor-parallel-size"), ("E050", "decode.engineArgs.tp")} <= places
