"""The platform's MindCluster release schedules the product.

An older scheduler has no handler for the product's policy: the PodGroup stays Pending and no event says why.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.load.releases import version
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if version(platform.mindcluster.release) < version(app.profile.mindcluster):
        yield Violation(
            ("hardware",),
            phrase(
                "hardware {profile} needs MindCluster {mindcluster}, the platform runs {platform_mindcluster}",
                profile=app.profile.name,
                mindcluster=app.profile.mindcluster,
                platform_mindcluster=platform.mindcluster,
            ),
            phrase("choose other hardware, or set mindcluster in platform.yaml if the cluster was upgraded"),
        )


RULE = Rule(
    "E018", __doc__, check,
    source="MindCluster docs, 07_Intergenerational_upgrade.md; ascend-for-volcano factory.go:49-67",
    bad=(
        Example("""
            hardware: atlas-850
            prefill:
              tensorParallel: 4
            decode:
              dataParallel: 16
            """, at="hardware"),
    ),
    instead=(
        Example("""
            hardware: atlas-800i-a3
            """),
    ),
)  # fmt: skip
