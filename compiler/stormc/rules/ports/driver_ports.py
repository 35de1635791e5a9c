"""kvTransfer.port stays clear of the ports that AscendDirect takes.

The driver uses 20000 + 1000 per NPU of the node. Inside that range engines fail now and then with "Address already
in use", more often the more NPUs are busy.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation

ASCEND_DIRECT_FIRST = 20000


ASCEND_DIRECT_PER_NPU = 1000


def check(app: App, platform: Platform) -> Iterator[Violation]:
    above = ASCEND_DIRECT_FIRST + ASCEND_DIRECT_PER_NPU * app.profile.npus
    if ASCEND_DIRECT_FIRST <= app.kv_port < above:
        yield Violation(("kvTransfer", "port"), f"kvTransfer.port {app.kv_port} lies in {ASCEND_DIRECT_FIRST}…"
                        f"{above - 1}, the driver's own ports", f"use {app.profile.kv_port}")  # fmt: skip


RULE = Rule(
    "W038", __doc__, check,
    source="vllm-ascend docs tutorials/features/pd_disaggregation_mooncake_multi_node.md: 20000 + 1000 × NPUs per node",
    bad=(
        Example("""
            kvTransfer:
              port: 30000
            """, at="kvTransfer.port"),
    ),
    instead=(
        Example("""
            kvTransfer:
              port: 36000
            """),
    ),
)  # fmt: skip
