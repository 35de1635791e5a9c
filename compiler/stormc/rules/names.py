"""Names must leave room for what the controllers append to them."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check_length(app: App, platform: Platform) -> Iterator[Violation]:
    """The name leaves room for the suffixes of AIBrix's pod names.

    A pod is named <name>-roleset-<5>-<role>-<hash>-<i>[-<j>] and uses that as its hostname, which has 63 characters.
    One more and no pod is created; with podGroupSize above 1 the StormService cannot even be deleted again.
    """
    grouped = any(role.pod_group_size > 1 for role in app.serving_roles)
    limit = limits.NAME_MAX_GROUP if grouped else limits.NAME_MAX_SINGLE
    reason = "podGroupSize above 1" if grouped else "podGroupSize 1"
    if app.prefill.replicas > 100 and not grouped:
        limit, reason = limit - 1, "a prefill index of three digits"
    if len(app.name) > limit:
        yield Violation(
            ("name",), f"name {app.name} has {len(app.name)} characters, with {reason} the limit is {limit}",
            "shorten the name",
        )  # fmt: skip


def check_port_range(app: App, platform: Platform) -> Iterator[Violation]:
    """The ports of all local ranks and of the metaserver exist.

    Rank k of a pod listens on port + k, and with a network policy the metaserver on proxy.port + 1; a port above 65535
    is refused by the API server when the Service or the pod is made.
    """
    for role in app.serving_roles:
        last = app.port + (role.local_ranks if role.distributed_dp else 1) - 1
        if last > limits.PORT_MAX:
            yield Violation(
                ("port",), f"port {app.port} leaves no room for the {role.local_ranks} ranks of a {role.name} pod",
                f"at most {limits.PORT_MAX - role.local_ranks + 1}",
            )  # fmt: skip
            return
    if app.metaserver_port is not None and app.metaserver_port > limits.PORT_MAX:
        yield Violation(("proxy", "port"), f"proxy.port {app.proxy['port']} leaves no room for the metaserver on the "
                        "next one", f"at most {limits.PORT_MAX - 1}")  # fmt: skip


RULES = (
    Rule(
        "E040", check_length, "AIBrix v0.5.0 roleset/utils.go:98-100, podset_controller.go:402-456, issue 1766",
        bad=(
            Example("name: a-name-of-21-characte", "name"),
            Example("{name: a-name-of-twenty-eight-chara, decode: {podGroupSize: 1, dataParallel: 16}}", "name"),
            Example("{name: a-name-of-twenty-seven-char, prefill: {replicas: 101, distributedDp: false, spBlock: 16}, "
                    "decode: {podGroupSize: 1, dataParallel: 16, spBlock: 16}}", "name"),
        ),
        good=(
            Example("name: a-name-of-20-charact"),
            Example("{name: a-name-of-twenty-seven-char, decode: {podGroupSize: 1, dataParallel: 16}}"),
        ),
    ),
    Rule(
        "E047", check_port_range, "Kubernetes core/v1 ServicePort: 1…65535",
        bad=(Example("port: 65530", "port"), Example("{networkPolicy: true, proxy: {port: 65535}}", "proxy.port")),
        good=(Example("port: 65520"), Example("proxy: {port: 65535}")),
    ),
)  # fmt: skip
