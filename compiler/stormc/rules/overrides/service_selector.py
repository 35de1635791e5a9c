"""An override leaves the selector of a Service alone.

It is what finds exactly one pod, by the labels that AIBrix writes. With another one the proxy sends a rank's
requests to a pod that has no such rank, or to none.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for index, override in enumerate(app.overrides):
        spec = override.patch.get("spec")
        if override.kind == "Service" and isinstance(spec, dict) and "selector" in spec:
            path = ("overrides", index, "patch", "spec", "selector")
            yield Violation(path, f"overrides[{index}] changes the selector of a Service",
                            "remove it; a Service of your own goes into a directory of its own")  # fmt: skip


RULE = Rule(
    "E079", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/constants; Kubernetes core/v1 ServiceSpec",
    bad=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                spec:
                  selector:
                    role-name: other
            """, at="overrides[0].patch.spec.selector"),
        Example("""
            overrides:
            - target: Service/qwen3-moe-router
              reason: a trial
              owner: team-a
              patch:
                spec:
                  selector: null
            """, at="overrides[0].patch.spec.selector"),
    ),
    instead=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                spec:
                  sessionAffinity: ClientIP
            """),
    ),
    only_when_overridden=True,
)  # fmt: skip
