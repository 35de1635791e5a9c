"""Variables that hold a size or a time hold a whole number.

HCCL reads its buffer size in MB and its timeouts in seconds, vLLM reads numbers with int(): with a unit behind the
number, or with less than the smallest value, the engine ends at its start.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

SMALLEST: dict[str, int] = {
    Env.HCCL_BUFFER_SIZE: 1,
    Env.HCCL_CONNECT_SECONDS: 1,
    Env.HCCL_EXEC_SECONDS: 0,
    "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": 1,
    "VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT": 0,
    "VLLM_RPC_TIMEOUT": 1,
}
"""The smallest value that each takes."""


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        for name, least in SMALLEST.items():
            value = run.env.get(name, "").strip()
            if value and "$" not in value and not (value.isascii() and value.isdigit() and int(value) >= least):
                yield Violation(
                    service.wrote_env(run.role.name, run.role.name, name),
                    phrase("{role}: {name} is {value}", role=run.role.name, name=name, value=value),
                    phrase("write a whole number, {least} or more", least=least),
                )


RULE = Rule(
    "W738", __doc__, check,
    source="HCCL environment variables: HCCL_BUFFSIZE in MB, at least 1, timeouts in s; vllm/envs.py",
    bad=(
        Example("""
            decode:
              env:
                HCCL_BUFFSIZE: 1GB
            """, at="decode.env.HCCL_BUFFSIZE"),
        Example("""
            engine:
              env:
                HCCL_BUFFSIZE: 0
            """, at="engine.env.HCCL_BUFFSIZE"),
    ),
    instead=(
        Example("""
            decode:
              env:
                HCCL_BUFFSIZE: 1024
                HCCL_CONNECT_TIMEOUT: "1200"
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
