"""What an unknown key of an app means: hints that name the place, the field, or the way out."""

from __future__ import annotations

import pytest

from tests.samples import findings

HINTS = [
    ("tensorParallel: 8", "it belongs below prefill or decode"),
    ("engineArgs: {a: 1}", "it belongs below prefill or decode"),
    ("retries: 3", "it belongs below faults"),
    ("env: {A: b}", "it belongs below prefill or decode or routing or engine"),
    ("decode: {dp_size: 3}", "write dataParallel"),
    ("tp: 3", "write tensorParallel below prefill or decode"),
    ("decode: {maxModelLen: 3}", "max-model-len is a vLLM flag: write it in engineArgs of a role, or in engine.args"),
    ("quantization: ascend", "quantization is a vLLM flag: write it in engineArgs of a role, or in engine.args"),
    ("kvTransfer: {config: {}}", "known: connector, extra, pool, port"),
    ("encode: {}", "the roles of a spec are prefill, decode and routing"),
    ("prefill: {affinity: {}}",
     "no field of specs; an override can: roles: [{name: prefill, template: {spec: {affinity: …}}}]"),
    ("prefill: {replica: 2}", "did you mean replicas?"),
    ("model: {hardware: x}", "it belongs to the top level"),
    ("spec: {}", "specs are flat: its fields stand at the top level"),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "hint"), HINTS)
def test_an_unknown_key_gets_a_hint_at_its_place(overlay: str, hint: str) -> None:
    (found,) = [f for f in findings(overlay) if f.rule == "E201"]
    assert found.hint == hint


TYPES = [
    ("decode: {env: {A: true}}", 'quote it: "true"'),
    ("decode: {env: {A: 0.5}}", 'quote it: "0.5"'),
    ("decode: {env: [{name: A, value: b}]}", 'write a mapping, such as HCCL_BUFFSIZE: "1024"'),
    ("decode: {engineArgs: [--max-num-seqs=1]}", "write a mapping, such as max-num-seqs: 64"),
    ("decode: {resources: {cpu: 0.5}}", "write 500m"),
    ("decode: {resources: {cpu: 1e300}}", 'quote it: "1e+300"'),
    ("gateway: true", "write roles or router or off"),
    ("port: \uff18\uff10\uff10\uff10", "write 8000"),
    ("model: {volume: {persistentVolumeClaim: {claimName: x}}}",
     "write the claim's name, such as persistentVolumeClaim: weights"),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "hint"), TYPES)
def test_a_value_of_the_wrong_type_gets_a_hint_at_the_right_one(overlay: str, hint: str) -> None:
    assert [f.hint for f in findings(overlay) if f.rule == "E203"] == [hint]
