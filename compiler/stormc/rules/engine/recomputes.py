"""proxy.maxRecomputes needs decode's recompute scheduler.

An instance gives an answer up for recomputation only where recompute_scheduler_enable is on; else the proxy waits for
something that never comes, and the setting has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine.keys_of_one_role import has
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if not service.app.proxy.get("maxRecomputes"):
        return
    for run in runs(service):
        if run.role.name == "decode" and not has(run.mapping("additional-config"), "recompute_scheduler_enable"):
            yield Violation(
                ("proxy", "maxRecomputes"),
                phrase("no decode instance gives answers up for recomputation"),
                phrase("set decode.engineArgs.additional-config.recompute_scheduler_enable: true"),
            )


RULE = Rule(
    "W716", __doc__, check,
    source="vllm-ascend v0.23.0 vllm_ascend/core/recompute_scheduler.py; proxy/stormc_proxy/flow",
    bad=(
        Example("""
            proxy:
              maxRecomputes: 3
            """, at="proxy.maxRecomputes"),
    ),
    instead=(
        Example("""
            proxy:
              maxRecomputes: 3
            decode:
              engineArgs:
                additional-config:
                  recompute_scheduler_enable: true
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
