"""A batch has room for a token of every sequence.

vLLM refuses to start with fewer batched tokens than sequences.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        tokens, sequences = run.flags.get("max-num-batched-tokens"), run.flags.get("max-num-seqs")
        if not (str(tokens).isdigit() and str(sequences).isdigit()):
            continue
        if int(str(tokens)) < int(str(sequences)):
            flag = "max-num-seqs" if "max-num-seqs" in run.role.flags else "max-num-batched-tokens"
            yield Violation(
                run.at(flag),
                phrase(
                    "{role}: max-num-batched-tokens {tokens} is below max-num-seqs {sequences}",
                    role=run.role.name,
                    tokens=tokens,
                    sequences=sequences,
                ),
                phrase("at least {sequences} batched tokens", sequences=sequences),
            )


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
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-num-seqs: 512
                max-num-batched-tokens: 512
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
