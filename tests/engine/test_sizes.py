"""Sizes of the roles, ports and images: what a release or the hardware cannot do, and what follows from a size."""

from __future__ import annotations

import pytest

from tests.engine.reported import reported
from tests.samples import app

ACCEPTED = [
    "prefill: {tensorParallel: 4, pipelineParallel: 2}",
    "prefill: {tensorParallel: 4, engineArgs: {pipeline-parallel-size: '2'}}",
    "prefill: {dataParallel: 1, engineArgs: {prefill-context-parallel-size: 2}}",
    "{prefill: {decodeContextParallel: 8}, decode: {dataParallel: 4, tensorParallel: 8, decodeContextParallel: 8}}",
    "model: {moe: false}",
    "{port: 8000, decode: {port: 9000, kvPort: 36500}}",
    "image: vllm-ascend:v0.23.0-a3-openeuler",
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_sizes_that_fit_are_accepted(spec: str) -> None:
    assert reported(spec) == set()


WRONG = [
    (
        "{prefill: {tensorParallel: 2, dataParallel: 8}, decode: {dataParallel: 8, tensorParallel: 4}}",
        ("E705", "decode.tensorParallel"),
    ),
    ("decode: {pipelineParallel: 2, dataParallel: 16}", ("E726", "decode.pipelineParallel")),
    ("decode: {dataParallel: 16, engineArgs: {pipeline-parallel-size: 2}}",
     ("E726", "decode.engineArgs.pipeline-parallel-size")),
    ("prefill: {tensorParallel: 4, prefillContextParallel: 2}", ("E726", "prefill.prefillContextParallel")),
    ("prefill: {decodeContextParallel: 3}", ("E726", "prefill.decodeContextParallel")),
    ("prefill: {dataParallel: 2, engineArgs: {pipeline-parallel-size: 2}}", ("E036", "prefill.tensorParallel")),
    ("{model: {moe: false}, engine: {args: {enable-expert-parallel: true}}}",
     ("E725", "engine.args.enable-expert-parallel")),
    ("{model: {moe: false}, decode: {distributedDp: false}}", ("E725", "decode.distributedDp")),
    ("port: 13388", ("E038", "port")),
    ("kvTransfer: {port: 13388}", ("E038", "kvTransfer.port")),
    ("engine: {args: {data-parallel-rpc-port: 36003}}", ("E038", "engine.args.data-parallel-rpc-port")),
    ("prefill: {port: 36000}", ("E038", "kvTransfer.port")),
    ("image: vllm-ascend:v0.9.1-a3", ("W714", "image")),
    ("image: quay.io/ascend/vllm-ascend:v0.23.0", ("W713", "image")),
    ("image: vllm-ascend:v0.23.0-310p", ("W713", "image")),
    ("image: vllm-ascend@sha256:" + 64 * "0", ("I700", "image")),
    ("{gateway: roles, decode: {distributedDp: false}}", ("W729", "gateway")),
    ("proxy: {maxRecomputes: 3}", ("W716", "proxy.maxRecomputes")),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "finding"), WRONG)
def test_a_size_that_does_not_fit_is_reported_at_its_place(spec: str, finding: tuple[str, str]) -> None:
    assert reported(spec) == {finding}


def test_devices_and_ports_follow_the_sizes() -> None:
    role = app("prefill: {tensorParallel: 2, pipelineParallel: 2, dataParallel: 4}").prefill
    assert (role.world_size, role.npus_used, len(role.kv_ports)) == (4, 16, 16)
    apart = app("{model: {moe: false}, prefill: {tensorParallel: 4, dataParallel: 4}}").prefill
    assert (apart.independent, apart.kv_ranks, len(apart.kv_ports)) == (True, 1, 16)


HALF = "{replicas: 1, npus: 8, dataParallel: 1, tensorParallel: 8, podGroupSize: 1, allowPartialNode: true"
SHARED = [
    (f"prefill: {HALF}}}\ndecode: {HALF}}}", {("E068", "decode.port")}),
    (f"prefill: {HALF}}}\ndecode: {HALF}, port: 9000}}", {("E068", "kvTransfer.port")}),
    (f"prefill: {HALF}}}\ndecode: {HALF}, port: 9000, kvPort: 37000}}", set()),
]


@pytest.mark.parametrize(("roles", "findings"), SHARED)
def test_roles_that_may_share_a_node_need_ports_of_their_own(roles: str, findings: set[tuple[str, str]]) -> None:
    places = reported(f"hardware: atlas-800i-a3\nhostNetwork: true\n{roles}")
    assert {finding for finding in places if finding[0] == "E068"} == findings
