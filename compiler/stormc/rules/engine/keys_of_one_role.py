"""Settings that help only decode are not set on prefill.

The recompute scheduler takes part on decode instances; on prefill it is ignored with a warning. MLAPO is a decode
kernel: on prefill it costs memory and no prompt uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        if run.role.name != "prefill":
            continue
        config = run.mapping("additional-config")
        if has(config, "recompute_scheduler_enable"):
            yield Violation(
                run.at("additional-config"),
                phrase("recompute_scheduler_enable has no effect on prefill"),
                phrase("write it under decode only"),
            )
        if run.env.get("VLLM_ASCEND_ENABLE_MLAPO", "0") not in ("0", ""):
            yield Violation(
                run.role.env_path("VLLM_ASCEND_ENABLE_MLAPO"),
                phrase("MLAPO serves decode only"),
                phrase("write VLLM_ASCEND_ENABLE_MLAPO under decode.env only"),
            )


def has(config: Mapping[str, Any], key: str) -> bool:
    """Whether additional-config switches something on, at its own place or under scheduler_config."""
    nested = config.get("scheduler_config")
    return bool(config.get(key) or (isinstance(nested, Mapping) and nested.get(key)))


RULE = Rule(
    "W707", __doc__, check,
    source="vllm-ascend v0.23.0 vllm_ascend/platform.py:689-708, docs user_guide/configuration/env_vars.md",
    bad=(
        Example("""
            prefill:
              engineArgs:
                additional-config:
                  recompute_scheduler_enable: true
            """, at="prefill.engineArgs.additional-config"),
        Example("""
            engine:
              env:
                VLLM_ASCEND_ENABLE_MLAPO: 1
            """, at="engine.env.VLLM_ASCEND_ENABLE_MLAPO"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                additional-config:
                  recompute_scheduler_enable: true
              env:
                VLLM_ASCEND_ENABLE_MLAPO: 1
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
