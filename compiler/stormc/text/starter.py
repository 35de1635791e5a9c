"""The first spec of an app: valid on its hardware, short, with comments for what comes next."""

from __future__ import annotations

from stormc.load.engines import read_engines
from stormc.model.profile import Profile

_SPEC = """\
apiVersion: stormc.dev/v1
kind: App
name: {name}
{namespace}model:
  name: {name}  # what clients send as `model`
  path: {path}  # the weights inside the pod
  moe: true  # false for a dense model: its ranks start as engines of their own
image: {image}
hardware: {hardware}
kvTransfer:
  connector: {connector}  # stormc engines lists those of each release
prefill:  # one pod on one node: dataParallel × tensorParallel = its {npus} NPUs
  dataParallel: {ranks}
  tensorParallel: {parallel}
{block}  engineArgs:  # vLLM flags of this role
    enforce-eager: true
    max-num-batched-tokens: 32768
decode:  # larger instances: podGroupSize pods share the ranks; before more replicas of either: stormc diff
  dataParallel: {npus}
{block}  engineArgs:
    compilation-config:
      cudagraph_mode: FULL_DECODE_ONLY
    max-num-batched-tokens: 512
    max-num-seqs: 16
engine:
  args:  # vLLM flags of both roles; null in a role takes one back
    gpu-memory-utilization: 0.9
    max-model-len: 32768
    enable-prefix-caching: false
    trust-remote-code: true  # runs code that lies beside the weights: remove it where the model needs none
  env:
    HCCL_BUFFSIZE: 1024
    HCCL_OP_EXPANSION_MODE: AIV
    OMP_NUM_THREADS: 10
    OMP_PROC_BIND: "false"
    PYTORCH_NPU_ALLOC_CONF: expandable_segments:True
    TASK_QUEUE_ENABLE: 1
networkPolicy: true  # only routing pods reach the engines, which ask nobody for a password
"""
_BLOCK = "  spBlock: {npus}  # NPUs of a logical super pod: each pod may be in another super pod\n"
_SUFFIXES = {"910b": "", "a3": "-a3", "850": "-a5", "950": "-a5", "350": "-a5"}
"""Suffix of vllm-ascend's image for each generation, by a part of accelerator-type (vllm-ascend, Dockerfile.*)."""


def starter(name: str, profile: Profile, namespace: str | None, model_path: str | None, image: str | None) -> str:
    """The text of a spec whose prefill and decode instances each take one whole node of the profile.

    The connector is the one that the image's release of vllm-ascend recommends.
    """
    engines = read_engines()
    parallel = min(8, profile.npus)
    suffix = next((text for part, text in _SUFFIXES.items() if part in profile.accelerator_type.lower()), "")
    image = image or f"quay.io/ascend/vllm-ascend:v{engines[engines.newest].vllm_ascend}{suffix}"
    return _SPEC.format(
        name=name, namespace=f"namespace: {namespace}\n" if namespace else "", path=model_path or f"/mnt/models/{name}",
        image=image, hardware=profile.name, npus=profile.npus, ranks=profile.npus // parallel, parallel=parallel,
        connector=engines[engines.of_image(image) or engines.newest].recommended,
        block=_BLOCK.format(npus=profile.npus) if profile.super_pod else "",
    )  # fmt: skip
