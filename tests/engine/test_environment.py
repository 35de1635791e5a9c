"""Variables and volumes: what the container gets, and what is told of a value that nobody expands or reads."""

from __future__ import annotations

import pytest

from tests.engine.reported import reported

ACCEPTED = [
    "engine: {env: {HCCL_BUFFSIZE_EP: 512, PYTORCH_CUDA_ALLOC_CONF: 'expandable_segments:True', MKL_NUM_THREADS: 1}}",
    "decode: {env: {NCCL_SOCKET_IFNAME: eth0, POD_IPS: x, NCCL_BUFFSIZE: 4}}",
    "engine: {env: {LD_LIBRARY_PATH: {prepend: '/opt/a:/opt/b'}}}",
    "engine: {env: {HCCL_IF_IP: null}}",
    "decode: {env: {A: {configMapKeyRef: {name: c, key: k}}, B: {fieldRef: {fieldPath: status.hostIP}}}}",
    "prefill: {env: {ASCEND_RT_VISIBLE_DEVICES: '0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15'}}",
    "engine: {startupSeconds: 3600, env: {VLLM_ENGINE_READY_TIMEOUT_S: 3600}}",
    "{volumes: [{configMap: mmc, mountPath: /etc/mmc}], engine: {env: {MMC_LOCAL_CONFIG_PATH: /etc/mmc/a.conf}}}",
    "prefill: {env: {PYTHONHASHSEED: 0}}",
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_a_value_that_somebody_reads_is_accepted(spec: str) -> None:
    assert reported(spec) == set()


POOL = "kvTransfer: {pool: {connector: AscendStoreConnector}}"
WRONG = [
    ("prefill: {env: {LD_LIBRARY_PATH: '$LD_LIBRARY_PATH:/opt/lib'}}", {("W720", "prefill.env.LD_LIBRARY_PATH")}),
    ("engine: {env: {LOGS: $HOME/logs}}", {("W720", "engine.env.LOGS")}),
    ("prefill: {env: {ASCEND_RT_VISIBLE_DEVICES: '0,1'}}", {("E710", "prefill.env.ASCEND_RT_VISIBLE_DEVICES")}),
    ("engine: {env: {VLLM_ENGINE_READY_TIMEOUT_S: 7000}}", {("W712", "engine.env.VLLM_ENGINE_READY_TIMEOUT_S")}),
    ("engine: {env: {VLLM_USE_V1: 1}}", {("W722", "engine.env.VLLM_USE_V1")}),
    ("engine: {env: {MMC_LOCAL_CONFIG_PATH: /etc/mmc/a.conf}}", {("W719", "engine.env.MMC_LOCAL_CONFIG_PATH")}),
    ("engine: {env: {HF_TOKEN: abc}}", {("W815", "engine.env.HF_TOKEN")}),
    ("routing: {env: {PROXY_ADMIN_TOKEN: abc}}", {("W815", "routing.env.PROXY_ADMIN_TOKEN")}),
    ("engine: {args: {api-key: abc}}", {("W815", "engine.args.api-key")}),
    (f"{POOL}\nprefill: {{env: {{PYTHONHASHSEED: 0}}}}", {("W706", "prefill.env.PYTHONHASHSEED")}),
    ("kvTransfer: {extra: {ascend_local_comm_res_path: /etc/hixlep}}",
     {("W719", "kvTransfer.extra.ascend_local_comm_res_path")}),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "findings"), WRONG)
def test_a_value_that_nobody_reads_is_reported_at_its_place(spec: str, findings: set[tuple[str, str]]) -> None:
    assert reported(spec) == findings
