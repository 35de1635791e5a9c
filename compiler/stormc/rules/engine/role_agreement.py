"""Prefill and decode agree on block size, KV cache type, quantisation and speculative method.

KV cache is handed over block by block as prefill has written it. With another block size, another type or another
draft model decode reads something else than what was written. With a KV pool the hash seed has to be the same as
well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.kv import CONFIG, POOL, inner_connectors
from stormc.phrase import Phrase, both, phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

SAME = ("block-size", "kv-cache-dtype", "quantization")


def check(service: StormService) -> Iterator[Violation]:
    pair = runs(service)
    if len(pair) < 2:
        return
    prefill, decode = pair
    for flag in SAME:
        values = [str(run.flags.get(flag, "")) for run in pair]
        if values[0] != values[1]:
            run = decode if values[1] else prefill
            yield Violation(
                run.at(flag),
                phrase("--{flag} of prefill and decode differ: {values}", flag=flag, values=_said(values)),
                phrase("write it once, under engine.args"),
            )
    methods = [_method(run) for run in pair]
    if methods[0] != methods[1]:
        run = decode if methods[1] else prefill
        yield Violation(
            run.at("speculative-config"),
            phrase("the speculative methods of prefill and decode differ: {methods}", methods=_said(methods)),
            phrase("give both the same method; the number of tokens may differ"),
        )
    seeds = [run.env.get("PYTHONHASHSEED", "") for run in pair]
    if seeds[0] != seeds[1] and any(_has_pool(run) for run in pair):
        run = decode if seeds[1] else prefill
        yield Violation(
            run.role.env_path("PYTHONHASHSEED"),
            phrase(
                "PYTHONHASHSEED of prefill and decode differ: {seeds}; keys of the KV pool differ with it",
                seeds=_said(seeds),
            ),
            phrase("write it once, under engine.env"),
        )


def _method(run: Run) -> str:
    config = run.mapping("speculative-config")
    return str(config.get("method", config.get("model", ""))) if config else ""


def _said(values: list[Any]) -> Phrase:
    return both(str(value) or phrase("none") for value in values)


def _has_pool(run: Run) -> bool:
    names = [part.name for part in inner_connectors(run.mapping(CONFIG))]
    return any(run.role.facts.connectors.get(name) == POOL for name in names)


RULE = Rule(
    "W706", __doc__, check,
    source="vllm-ascend docs pd_disaggregation_mooncake_multi_node.md; tests/e2e external_dp: 55 of 55 "
    "pairs agree; kv_pool.md on PYTHONHASHSEED",
    bad=(
        Example("""
            decode:
              engineArgs:
                block-size: 64
            """, at="decode.engineArgs.block-size"),
        Example("""
            decode:
              engineArgs:
                speculative-config:
                  method: deepseek_mtp
                  num_speculative_tokens: 3
            """, at="decode.engineArgs.speculative-config"),
        Example("""
            prefill:
              engineArgs:
                quantization: ascend
            """, at="prefill.engineArgs.quantization"),
        Example("""
            kvTransfer:
              pool:
                connector: AscendStoreConnector
            prefill:
              env:
                PYTHONHASHSEED: 0
            """, at="prefill.env.PYTHONHASHSEED"),
    ),
    instead=(
        Example("""
            engine:
              args:
                block-size: 64
                quantization: ascend
            prefill:
              engineArgs:
                speculative-config:
                  method: mtp
                  num_speculative_tokens: 1
            decode:
              engineArgs:
                speculative-config:
                  method: mtp
                  num_speculative_tokens: 3
            """),
    ),
    good=(
        Example("""
            prefill:
              env:
                PYTHONHASHSEED: 0
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
