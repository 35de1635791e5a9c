"""The KV ports of a role are valid and differ from the ports of its ranks.

A role uses its KV port and as many more as its instance has NPUs; the ranks of the same pod listen on port and above.
The second process on a port does not start.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.model.role import Role
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        ports, ranks = role.kv_ports, role.ports
        first, last = ports[0], ports[-1]
        if last > limits.PORT_MAX:
            yield Violation(
                role.kv_port_path,
                phrase("{role} needs KV ports {first}…{last}", role=role.name, first=first, last=last),
                phrase("at most {port_max}", port_max=limits.PORT_MAX - (last - first)),
            )
            return
        if first <= ranks[-1] and ranks[0] <= last:
            yield Violation(
                role.kv_port_path,
                phrase(
                    "KV ports {first}…{last} of {role} meet its ranks on {port}…{last_port}",
                    first=first,
                    last=last,
                    role=role.name,
                    port=ranks[0],
                    last_port=ranks[-1],
                ),
                phrase("move port or kvTransfer.port"),
            )
            return
        coordination = _coordination(role)
        if coordination in ports or coordination in ranks:
            own = "data-parallel-rpc-port" in role.flags
            path = role.flag_path("data-parallel-rpc-port") if own else _taken_by(app, role, coordination)
            yield Violation(
                path,
                phrase(
                    "{role}: port {coordination} is that of data-parallel coordination, too",
                    role=role.name,
                    coordination=coordination,
                ),
                phrase("move port, kvTransfer.port, or data-parallel-rpc-port in engineArgs"),
            )
            return


def _coordination(role: Role) -> int | None:
    """The port on which the first rank tells the others about itself."""
    if role.data_parallel == 1 or role.independent:
        return None
    port = role.engine_args.get("data-parallel-rpc-port")
    if isinstance(port, int):
        return port
    return limits.INTERNAL_RPC_PORTS[role.name] if not role.distributed_dp else limits.EXTERNAL_RPC_PORT


def _taken_by(app: App, role: Role, port: int | None) -> Path:
    if port in role.kv_ports:
        return role.kv_port_path
    return ("port",) if role.port == app.port else (role.name, "port")


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
        Example("""
            port: 13389
            """, at="port"),
        Example("""
            decode:
              kvPort: 13380
            """, at="decode.kvPort"),
    ),
    instead=(
        Example("""
            port: 36100
            kvTransfer:
              port: 36000
            """),
    ),
)  # fmt: skip
