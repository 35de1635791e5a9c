"""The ports of all local ranks and of the metaserver exist.

Rank k of a pod listens on port + k, and with a network policy the metaserver on proxy.port + 1; a port above 65535
is refused by the API server when the Service or the pod is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.ports[-1] > limits.PORT_MAX:
            path = ("port",) if role.port == app.port else (role.name, "port")
            yield Violation(
                path, f"port {role.port} leaves no room for the {role.local_ranks} ranks of a {role.name} pod",
                f"at most {limits.PORT_MAX - role.local_ranks + 1}",
            )  # fmt: skip
            return
    if app.metaserver_port is not None and app.metaserver_port > limits.PORT_MAX:
        yield Violation(("proxy", "port"), f"proxy.port {app.proxy['port']} leaves no room for the metaserver on the "
                        "next one", f"at most {limits.PORT_MAX - 1}")  # fmt: skip


RULE = Rule(
    "E047", __doc__, check,
    source="Kubernetes core/v1 ServicePort: 1…65535",
    bad=(
        Example("""
            port: 65530
            """, at="port"),
        Example("""
            networkPolicy: true
            proxy:
              port: 65535
            """, at="proxy.port"),
    ),
    instead=(
        Example("""
            port: 65520
            """),
    ),
    good=(
        Example("""
            proxy:
              port: 65535
            """),
    ),
)  # fmt: skip
