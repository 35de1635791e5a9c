"""A batch has room for a token of every sequence and, without chunked prefill, for the longest prompt.

vLLM refuses to start with fewer batched tokens than sequences. With `enable-chunked-prefill: false` a prompt is
computed in one batch, so it also refuses fewer batched tokens than `max-model-len`. Lengths may have a unit: 64k is
64,000, 64K is 65,536.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

TOKENS, LONGEST = "max-num-batched-tokens", "max-model-len"
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
"""What vLLM multiplies a length by (vllm/engine/arg_utils.py, human_readable_int)."""


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        tokens = _length(run.flags.get(TOKENS))
        if tokens is None:
            continue
        least = ["max-num-seqs"] if run.flags.get("enable-chunked-prefill") is not False else ["max-num-seqs", LONGEST]
        for flag in least:
            needed = _length(run.flags.get(flag))
            if needed is not None and tokens < needed:
                yield _violation(run, flag, tokens, needed)


def _violation(run: Run, flag: str, tokens: int, needed: int) -> Violation:
    message = phrase(
        "{role}: max-num-batched-tokens {tokens} is below {flag} {wanted}",
        role=run.role.name, tokens=tokens, flag=flag, wanted=needed,
    )  # fmt: skip
    hint = phrase("at least {wanted} batched tokens", wanted=needed)
    if flag == LONGEST:
        hint = phrase("at least {wanted} batched tokens, or leave chunked prefill on", wanted=needed)
    return Violation(run.at(flag if flag in run.role.flags else TOKENS), message, hint)


def _length(value: object) -> int | None:
    """A number of tokens as vLLM reads it; None where it is none."""
    if type(value) is int and value >= 0:
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", str(value))
    return int(float(match[1]) * UNITS[match[2]]) if match else None


RULE = Rule(
    "E709", __doc__, check,
    source="vllm v0.23.0 vllm/config/scheduler.py:276",
    bad=(
        Example("""
            decode:
              engineArgs:
                max-num-seqs: 1024
                max-num-batched-tokens: 512
            """, at="decode.engineArgs.max-num-seqs"),
        Example("""
            engine:
              args:
                max-num-batched-tokens: 512
            decode:
              engineArgs:
                max-num-seqs: 1024
            """, at="decode.engineArgs.max-num-seqs"),
        Example("""
            prefill:
              engineArgs:
                enable-chunked-prefill: false
                max-model-len: 64k
                max-num-batched-tokens: 32768
            """, at="prefill.engineArgs.max-model-len"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-num-seqs: 512
                max-num-batched-tokens: 512
            """),
        Example("""
            prefill:
              engineArgs:
                enable-chunked-prefill: false
                max-model-len: 64k
                max-num-batched-tokens: 65536
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
