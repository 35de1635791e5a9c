"""The spec says whether the model is dense where that changes how the engine starts.

From vLLM 0.18 on the data-parallel ranks of a dense model know nothing of each other, and from 0.21 on external ranks
are refused at the start. stormc starts them as engines of their own where `model.moe` is false; it does not guess.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        if role.moe is None and role.data_parallel > 1 and "dense-ranks-alone" in role.facts.refuses:
            text = phrase(
                "model.moe is not set: with vLLM {vllm} the {data_parallel} ranks of {role} start in one way for a "
                "dense model, in another for a mixture of experts",
                data_parallel=role.data_parallel,
                role=role.name,
                vllm=role.facts.vllm,
            )
            yield Violation(
                ("model",),
                text,
                phrase("write moe: true below model for a mixture of experts, moe: false for a dense model"),
            )
            return


RULE = Rule(
    "W724", __doc__, check,
    source="vllm v0.18.0 vllm/v1/engine/core.py:1067, v0.21.0 vllm/engine/arg_utils.py:1802; vllm-ascend "
    "issues 8344, 11863",
    bad=(
        Example("""
            image: vllm-ascend:v0.23.0
            """, at="model"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: false
            """),
        Example("""
            image: vllm-ascend:v0.23.0
            expertParallel: true
            """),
    ),
)  # fmt: skip
