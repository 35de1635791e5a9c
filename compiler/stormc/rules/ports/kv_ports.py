"""The KV ports of a role exist and are not those of its ranks.

A role uses kvTransfer.port and as many more as dataParallel × tensorParallel; the ranks of the same pod listen on
port and above. The second process on a port does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
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


RULE = Rule(
    "E038", __doc__, check,
    source="vllm-ascend vllm_ascend/distributed/kv_transfer/kv_p2p/mooncake_layerwise_connector.py",
    bad=(
        Example("""
            kvTransfer:
              port: 65530
            """, at="kvTransfer.port"),
        Example("""
            port: 36010
            kvTransfer:
              port: 36000
            """, at="kvTransfer.port"),
    ),
    good=(
        Example("""
            port: 36100
            kvTransfer:
              port: 36000
            """),
    ),
)  # fmt: skip
