"""The NPUs of a pod are a number that the product's scheduling handler accepts.

Volcano validates the number in every session; with another one the PodGroup gets the condition
JobValidateFailed and its pods stay Pending for ever. Nothing is rejected when the manifest is applied.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.scheduling import MODULE_POLICIES
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.npus not in app.profile.pod_npus:
            legal = ", ".join(map(str, app.profile.pod_npus))
            yield Violation(
                (role.name, "npus"),
                phrase(
                    "{role}.npus {npus} is not schedulable on {profile}",
                    role=role.name,
                    npus=role.npus,
                    profile=app.profile.name,
                ),
                phrase("a pod may ask for {legal}", legal=legal),
            )
        elif role.npus % 2 and app.profile.schedule_policy in MODULE_POLICIES and _crowded(app, role):
            yield Violation(
                (role.name, "npus"),
                phrase(
                    "{role}.npus {npus} is half a module, in a PodGroup of {gang} pods",
                    role=role.name,
                    npus=role.npus,
                    gang=app.gang(role),
                ),
                phrase("ask for an even number"),
            )


def _crowded(app: App, role: Role) -> bool:
    """Whether the pod is one of several, on a product whose rule E026 does not say so."""
    return app.gang(role) > 1 and not app.profile.super_pod


RULE = Rule(
    "E022", __doc__, check,
    source="MindCluster guide, parameter table, huawei.com/Ascend910; ascend-for-volcano plugin/job.go:694-739",
    bad=(
        Example("""
            prefill:
              npus: 7
              dataParallel: 7
              tensorParallel: 1
            """, at="prefill.npus"),
        Example("""
            hardware: atlas-800i-a3
            prefill:
              replicas: 2
              npus: 1
              allowPartialNode: true
              dataParallel: 1
              tensorParallel: 1
            """, at="prefill.npus"),
    ),
    instead=(
        Example("""
            prefill:
              npus: 16
            """),
    ),
    good=(
        Example("""
            hardware: atlas-800i-a3
            prefill:
              replicas: 1
              npus: 1
              allowPartialNode: true
              dataParallel: 1
              tensorParallel: 1
            """),
    ),
)  # fmt: skip
