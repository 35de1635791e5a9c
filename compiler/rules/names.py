"""Names must leave room for what the controllers append to them."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.rules.rule import Example, Rule, Violation
from compiler.spec import limits
from compiler.spec.app import App
from compiler.spec.profile import Platform


def check_length(app: App, platform: Platform) -> Iterator[Violation]:
    """The name leaves room for the suffixes of AIBrix's pod names.

    A pod is named <name>-roleset-<5>-<role>-<hash>-<i>[-<j>] and uses that as its hostname, which has 63 characters.
    One more and no pod is created; with podGroupSize above 1 the StormService cannot even be deleted again.
    """
    grouped = any(role.pod_group_size > 1 for role in app.serving_roles)
    limit = limits.NAME_MAX_GROUP if grouped else limits.NAME_MAX_SINGLE
    if len(app.name) > limit:
        reason = "podGroupSize above 1" if grouped else "podGroupSize 1"
        yield Violation(
            ("name",), f"name {app.name} has {len(app.name)} characters, with {reason} the limit is {limit}",
            "shorten the name",
        )  # fmt: skip


def check_port_range(app: App, platform: Platform) -> Iterator[Violation]:
    """The ports of all local ranks exist.

    Rank k of a pod listens on port + k; a port above 65535 is refused by the API server when the Service is applied.
    """
    for role in app.serving_roles:
        last = app.port + (role.local_ranks if role.distributed_dp else 1) - 1
        if last > limits.PORT_MAX:
            yield Violation(
                ("port",), f"port {app.port} leaves no room for the {role.local_ranks} ranks of a {role.name} pod",
                f"at most {limits.PORT_MAX - role.local_ranks + 1}",
            )  # fmt: skip
            return


RULES = (
    Rule(
        "E040", check_length, "AIBrix v0.5.0 roleset/utils.go:98-100, podset_controller.go:402-456, issue 1766",
        bad=(
            Example("name: a-name-of-21-characte", "name"),
            Example("{name: a-name-of-twenty-eight-chara, decode: {podGroupSize: 1, dataParallel: 16}}", "name"),
        ),
        good=(
            Example("name: a-name-of-20-charact"),
            Example("{name: a-name-of-twenty-seven-char, decode: {podGroupSize: 1, dataParallel: 16}}"),
        ),
    ),
    Rule(
        "E047", check_port_range, "Kubernetes core/v1 ServicePort: 1…65535",
        bad=(Example("port: 65530", "port"),),
        good=(Example("port: 65520"),),
    ),
)  # fmt: skip
