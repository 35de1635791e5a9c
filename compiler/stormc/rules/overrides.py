"""Overrides change objects, they do not make others of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation

TARGET_MISSING, IDENTITY_CHANGED = "E048", "E049"
IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")


def check_target(app: App, platform: Platform) -> Iterator[Violation]:
    """An override names an object that the app renders.

    A target that matches nothing patches nothing, and the manifest silently lacks what somebody relies on.
    """
    for index, override in enumerate(app.overrides):
        if not app.targets(override):
            names = ", ".join(ref.name for ref in app.objects if ref.kind == override.kind)
            target = f"{override.kind}/{override.name}" if override.name else override.kind
            yield Violation(
                ("overrides", index, "target"), f"overrides[{index}].target {target} is not rendered by this app",
                f"{override.kind} objects: {names}" if names else f"the app has no {override.kind}",
            )  # fmt: skip


def check_identity(app: App, platform: Platform) -> Iterator[Violation]:
    """An override leaves kind, name and namespace alone.

    Files, Services and the proxy's topology are derived from them; a patched name would leave the others behind.
    """
    for index, override in enumerate(app.overrides):
        for path in _identity_paths(override.patch):
            yield Violation(
                ("overrides", index, "patch", *path.split(".")),
                f"overrides[{index}] changes {path}",
                "name and namespace are fields of the spec",
            )


def check_selector(app: App, platform: Platform) -> Iterator[Violation]:
    """An override leaves the selector of a Service alone.

    It is what finds exactly one pod, by the labels that AIBrix writes. With another one the proxy sends a rank's
    requests to a pod that has no such rank, or to none.
    """
    for index, override in enumerate(app.overrides):
        spec = override.patch.get("spec")
        if override.kind == "Service" and isinstance(spec, dict) and "selector" in spec:
            path = ("overrides", index, "patch", "spec", "selector")
            yield Violation(path, f"overrides[{index}] changes the selector of a Service",
                            "remove it; a Service of your own goes into a directory of its own")  # fmt: skip


def _identity_paths(patch: Mapping[str, Any]) -> Iterator[str]:
    for path in IDENTITY:
        head, _, tail = path.partition(".")
        if head in patch and (not tail or not isinstance(patch[head], dict)):
            yield head
            if tail:
                return
        elif head in patch and tail in patch[head]:
            yield path


_SOURCE = "docs/architecture.md, pass overrides"

RULES = (
    Rule(
        TARGET_MISSING, check_target, _SOURCE,
        bad=(Example("overrides: [{target: Service/other, patch: {spec: {type: NodePort}}, reason: r, owner: o}]",
                     "overrides[0].target"),
             Example("overrides: [{target: PodDisruptionBudget, patch: {spec: {minAvailable: 2}}, reason: r, "
                     "owner: o}]", "overrides[0].target")),
        good=(Example("overrides: [{target: Service, patch: {spec: {type: NodePort}}, reason: r, owner: o}]"),),
    ),
    Rule(
        IDENTITY_CHANGED, check_identity, _SOURCE,
        bad=(
            Example("overrides: [{target: Service, patch: {metadata: {name: x}}, reason: r, owner: o}]",
                    "overrides[0].patch.metadata.name"),
            Example("overrides: [{target: Service, patch: {metadata: null}, reason: r, owner: o}]",
                    "overrides[0].patch.metadata"),
        ),
        good=(Example("overrides: [{target: Service, patch: {metadata: {labels: {a: b}}}, reason: r, owner: o}]"),),
    ),
    Rule(
        "E079", check_selector, "AIBrix v0.5.0 pkg/controller/constants; Kubernetes core/v1 ServiceSpec",
        bad=(
            Example("overrides: [{target: Service, patch: {spec: {selector: {role-name: other}}}, reason: r, "
                    "owner: o}]",
                    "overrides[0].patch.spec.selector"),
            Example("overrides: [{target: Service/qwen3-moe-router, patch: {spec: {selector: null}}, reason: r, "
                    "owner: o}]", "overrides[0].patch.spec.selector"),
        ),
        good=(Example("overrides: [{target: Service, patch: {spec: {sessionAffinity: ClientIP}}, reason: r, "
                      "owner: o}]"),),
    ),
)  # fmt: skip
