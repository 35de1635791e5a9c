"""The ports of all local ranks and of the metaserver are valid.

Rank k of a pod listens on port + k, and with a network policy the metaserver on proxy.port + 1; a port above 65535
is refused by the API server when the Service or the pod is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.ports[-1] > limits.PORT_MAX:
            path = ("port",) if role.port == app.port else (role.name, "port")
            yield Violation(
                path,
                phrase(
                    "port {port} leaves no room for the {local_ranks} ranks of a {role} pod",
                    port=role.port,
                    local_ranks=role.local_ranks,
                    role=role.name,
                ),
                phrase("at most {port_max}", port_max=limits.PORT_MAX - role.local_ranks + 1),
            )
            return
    if app.metaserver_port is not None and app.metaserver_port > limits.PORT_MAX:
        yield Violation(
            ("proxy", "port"),
            phrase("proxy.port {port} leaves no room for the metaserver on the next one", port=app.proxy["port"]),
            phrase("at most {port_max}", port_max=limits.PORT_MAX - 1),
        )


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
