"""additional-config holds nothing that the release refuses in a role.

vllm-ascend raises at the start: balance scheduling is for engines that prefill and decode both, layer sharding for
prefill only.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine.keys_of_one_role import has
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

REFUSED = (
    ("balance-scheduling", "enable_balance_scheduling", ("prefill", "decode")),
    ("layer-sharding-on-decode", "layer_sharding", ("decode",)),
)


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        config = run.mapping("additional-config")
        for fact, key, roles in REFUSED:
            if fact in run.role.facts.refuses and run.role.name in roles and has(config, key):
                text = phrase(
                    "{role}: vllm-ascend {release} refuses {key} here",
                    role=run.role.name,
                    release=run.role.facts.release,
                    key=key,
                )
                yield Violation(run.at("additional-config"), text, phrase("remove the key"))


RULE = Rule(
    "E708", __doc__, check,
    source="vllm-ascend v0.23.0 vllm_ascend/platform.py:346, 682; per release in stormc engines",
    bad=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            engine:
              args:
                additional-config:
                  enable_balance_scheduling: true
            """, at="engine.args.additional-config"),
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            decode:
              engineArgs:
                additional-config:
                  layer_sharding: [q_b_proj]
            """, at="decode.engineArgs.additional-config"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            prefill:
              engineArgs:
                additional-config:
                  layer_sharding: [q_b_proj]
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
