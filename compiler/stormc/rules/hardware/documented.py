"""MindCluster documents StormService on the product.

Its guide for StormService names 800I A2 and 800I A3; for the 850 and 950 series it documents InferServiceSet. The
scheduler accepts the pods, but MindCluster does not promise it.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.scheduling import ATLAS_A5
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    profile = app.profile
    if not profile.documented and profile.accelerator_type in ATLAS_A5:
        yield Violation(
            ("hardware",),
            phrase("MindCluster does not document StormService on {product}", product=profile.product),
            phrase("try it on your cluster first; stormc profiles shows which are documented"),
        )


RULE = Rule(
    "I731", __doc__, check,
    source="MindCluster docs 04_usage/08_vllm_best_practice/00 and "
    "09_infer_operator_best_practice/00_before_you_start.md",
    bad=(
        Example("""
            hardware: atlas-850
            prefill:
              dataParallel: 1
            decode:
              dataParallel: 16
            """, at="hardware", platform="mindcluster: '26.0'"),
    ),
    good=(
        Example("""
            hardware: atlas-800i-a3
            """),
    ),
)  # fmt: skip
