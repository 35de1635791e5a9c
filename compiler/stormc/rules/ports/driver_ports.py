"""KV ports stay clear of the ports that AscendDirect takes.

Mooncake's AscendDirect uses 20000 + 1000 per NPU of the node, from vllm-ascend 0.20 on 100 per NPU. Inside that range
engines fail now and then with "Address already in use", more often the more NPUs are busy.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

ASCEND_DIRECT_FIRST = 20000


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        above = ASCEND_DIRECT_FIRST + role.facts.direct_ports * app.profile.npus
        if ASCEND_DIRECT_FIRST <= role.kv_port < above:
            yield Violation(
                role.kv_port_path,
                phrase(
                    "KV port {kv_port} of {role} lies in {ascend_direct_first}…{above}, AscendDirect's own ports",
                    kv_port=role.kv_port,
                    role=role.name,
                    ascend_direct_first=ASCEND_DIRECT_FIRST,
                    above=above - 1,
                ),
                phrase("use {kv_port}", kv_port=app.profile.kv_port),
            )
            if role.kv_port_path == ("kvTransfer", "port"):
                return


RULE = Rule(
    "W038", __doc__, check,
    source="vllm-ascend docs tutorials/features/pd_disaggregation_mooncake_multi_node.md: 20000 + 1000 × NPUs per "
    "node; vllm-ascend issue 14263: 100 per NPU",
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
