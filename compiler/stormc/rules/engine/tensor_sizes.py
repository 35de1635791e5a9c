"""tensorParallel of prefill is a multiple of decode's.

A decode rank takes its heads from prefill ranks that hold as many or fewer each. The connector raises at the start,
or at the first transfer, where decode's tensor parallelism is the larger one or does not divide prefill's.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    connector = service.app.connector
    sizes = {run.role.name: run.number("tensor-parallel-size") for run in runs(service)}
    if (
        len(sizes) < 2
        or min(sizes.values()) < 1
        or not connector.startswith("Mooncake")
        or connector == "MooncakeConnector"
    ):
        return
    prefill, decode = sizes["prefill"], sizes["decode"]
    if prefill % decode:
        run = next(run for run in runs(service) if run.role.name == "decode")
        text = phrase(
            "decode has {decode} tensor-parallel NPUs, prefill {prefill}: no multiple of it",
            decode=decode,
            prefill=prefill,
        )
        hint = phrase("take {prefill} in decode, or more in prefill", prefill=_divisor(prefill, decode))
        yield Violation(run.at("tensor-parallel-size"), text, hint)


def _divisor(prefill: int, decode: int) -> int:
    """The largest size of decode that fits and is not above the one that was chosen."""
    return max(size for size in range(1, prefill + 1) if prefill % size == 0 and size <= decode)


RULE = Rule(
    "E705", __doc__, check,
    source="vllm-ascend v0.23.0 "
    "vllm_ascend/distributed/kv_transfer/kv_p2p/mooncake_connector.py:1982-1985, docs pipeline_parallel.md",
    bad=(
        Example("""
            prefill:
              dataParallel: 4
              tensorParallel: 4
            decode:
              podGroupSize: 1
              dataParallel: 2
              tensorParallel: 8
            """, at="decode.tensorParallel"),
    ),
    instead=(
        Example("""
            prefill:
              dataParallel: 2
              tensorParallel: 8
            decode:
              podGroupSize: 1
              dataParallel: 4
              tensorParallel: 4
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
