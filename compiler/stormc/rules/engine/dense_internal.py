"""The ranks of a dense model are engines of their own.

vLLM sets the data-parallel size of each rank to 1 by itself. That contradicts the KV-transfer config, and all ranks of
a pod take the same KV ports.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

EXPERTS = "enable-expert-parallel"


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        together = role.data_parallel > 1 and not role.distributed_dp
        if role.moe is False and together and "dense-ranks-alone" in role.facts.refuses:
            text = phrase(
                "{role}: vLLM {vllm} runs the ranks of a dense model apart", role=role.name, vllm=role.facts.vllm
            )
            yield Violation((role.name, "distributedDp"), text, phrase("leave distributedDp out"))
        elif role.moe is False and (app.expert_parallel or role.engine_args.get(EXPERTS) is True):
            yield Violation(
                ("expertParallel",) if app.expert_parallel else role.flag_path(EXPERTS),
                phrase("expertParallel is for mixture-of-experts models, model.moe is false"),
                phrase("remove one of the two"),
            )
            return


RULE = Rule(
    "E725", __doc__, check,
    source="vllm v0.23.0 vllm/v1/engine/core.py:1158; vllm-ascend v0.23.0 vllm_ascend/utils.py:1426-1451; "
    "vllm-ascend issue 8344",
    bad=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: false
            decode:
              distributedDp: false
            """, at="decode.distributedDp"),
        Example("""
            model:
              moe: false
            expertParallel: true
            """, at="expertParallel"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: false
            """),
    ),
)  # fmt: skip
