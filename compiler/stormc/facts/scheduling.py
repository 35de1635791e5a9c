"""What ascend-for-volcano, MindCluster's plugin of the scheduler, knows of products: policies, node labels, chips."""

from __future__ import annotations

from collections.abc import Mapping

MODULE_POLICIES = ("chip2-node16", "chip2-node16-sp", "chip2-node8", "chip2-node8-sp", "module-a3-16")
"""Policies of modules of two dies: half a module goes to a lone pod only (module910a3x16/frame.go:63-108)."""
RACK_POLICY = "chip8-node8-ra64-sp"
"""The only policy whose handler reads ra-block (policy/chip8node8ra64sp/job.go)."""
SUPER_POD_POLICIES = ("chip2-node16-sp", "chip2-node8-sp", "chip8-node8-sp", RACK_POLICY)
"""Policies whose handlers know logical super pods, and read sp-block (internal/npu/factory.go:49-67)."""
SCHEDULE_POLICIES = (
    "chip8-node8", "chip8-node16", "chip2-node16", "chip2-node16-sp", "chip2-node8", "chip2-node8-sp", "chip4-node8",
    "chip4-node16", "chip1-node8", "chip1-node16", "chip8-node8-sp", RACK_POLICY, "chip1-node2", "chip4-node4",
    "multilevel", "module-a3-16",
)  # fmt: skip
"""Values of huawei.com/schedule_policy that have a handler (internal/npu/factory.go:49-67)."""
POLICY_SINCE: Mapping[str, str] = {"multilevel": "26.2"}
"""The first MindCluster release of policies that came later than the oldest supported (ascend-for-volcano 8ca5f928)."""

ATLAS_A2 = ("module-910b-8", "module-910b-16", "card-910b-2", "card-910b-infer")
ATLAS_A3 = ("module-a3-16", "module-a3-16-super-pod", "module-a3-8-super-pod")
ATLAS_A5 = (
    "350-Atlas-8", "350-Atlas-16", "350-Atlas-4p-8", "350-Atlas-4p-16", "850-Atlas-8p-8", "850-SuperPod-Atlas-8",
    "950-SuperPod-Atlas-8",
)  # fmt: skip
"""The node labels accelerator-type of each generation of chips."""
ACCELERATOR_TYPES = (*ATLAS_A2[:2], *ATLAS_A3, "card", "half", "module", *ATLAS_A2[2:], *ATLAS_A5)
"""Node labels accelerator-type that have a handler (internal/npu/factory.go:220-252)."""
IMAGE_SUFFIXES: Mapping[str, str] = {
    **dict.fromkeys(ATLAS_A2, ""), **dict.fromkeys(ATLAS_A3, "a3"), **dict.fromkeys(ATLAS_A5, "a5"),
}  # fmt: skip
"""The suffix of vllm-ascend's image tags by accelerator-type (vllm-ascend docs installation.md, Dockerfile.*)."""
