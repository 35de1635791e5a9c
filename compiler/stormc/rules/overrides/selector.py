"""An override leaves the selector of a Service, a NetworkPolicy or a PodDisruptionBudget alone.

A Service finds exactly one pod by the labels that AIBrix writes: with another selector the proxy sends a rank's
requests to a pod that has no such rank, or to none. A NetworkPolicy or a PodDisruptionBudget with another selector
reaches the pods of other apps and teams in the namespace: it cuts them off, or keeps their nodes from being drained.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

SELECTORS = {"Service": "selector", "NetworkPolicy": "podSelector", "PodDisruptionBudget": "selector"}
"""The field of each kind that says which pods it reaches; that of a StormService has a rule of its own."""


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for index, override in enumerate(app.overrides):
        field = SELECTORS.get(override.kind)
        spec = override.patch.get("spec", {})
        if field is None or (isinstance(spec, dict) and field not in spec):
            continue
        path: Path = ("overrides", index, "patch", "spec")
        path = (*path, field) if isinstance(spec, dict) else path
        yield Violation(
            path,
            phrase("overrides[{index}] changes the selector of a {kind}", index=index, kind=override.kind),
            phrase("remove it; a {kind} of your own goes into a directory of its own", kind=override.kind),
        )


RULE = Rule(
    "E079", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/constants; Kubernetes core/v1 ServiceSpec, networking/v1 NetworkPolicySpec, "
           "policy/v1 PodDisruptionBudgetSpec",
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
        Example("""
            networkPolicy: true
            overrides:
            - target: NetworkPolicy
              reason: a trial
              owner: team-a
              patch:
                spec:
                  podSelector:
                    matchLabels: null
            """, at="overrides[0].patch.spec.podSelector"),
        Example("""
            routing:
              replicas: 2
            overrides:
            - target: PodDisruptionBudget
              reason: a trial
              owner: team-a
              patch:
                spec:
                  selector:
                    matchExpressions:
                    - {key: app, operator: Exists}
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
    good=(
        Example("""
            routing:
              replicas: 2
            overrides:
            - target: PodDisruptionBudget
              reason: a trial
              owner: team-a
              patch:
                metadata:
                  labels:
                    a: b
            """),
    ),
    only_when_overridden=True,
)  # fmt: skip
