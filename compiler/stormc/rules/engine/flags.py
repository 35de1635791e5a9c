"""engineArgs leave to the spec's fields what ports, ranks and Services are derived from.

The proxy, the Services and the launcher are made from the fields. With another value in the flag alone the engine
listens where nobody asks, or waits for ranks that nobody starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation

# vLLM flag → the spec field that sets it; an empty one means that the launcher sets it for each rank.
FLAGS: Mapping[str, str] = {
    "port": "port",
    "model": "model.path",
    "served-model-name": "model.name",
    "tensor-parallel-size": "tensorParallel",
    "data-parallel-size": "dataParallel",
    "data-parallel-size-local": "podGroupSize",
    "enable-expert-parallel": "expertParallel",
    "data-parallel-rank": "",
    "data-parallel-start-rank": "",
    "data-parallel-address": "",
    "headless": "",
    "data-parallel-external-lb": "",
    "data-parallel-hybrid-lb": "",
    "pipeline-parallel-size": "",
    "api-server-count": "",
}


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        for flag in role.engine_args.keys() & FLAGS.keys():
            field = FLAGS[flag]
            yield Violation((role.name, "engineArgs", flag), f"{role.name}.engineArgs.{flag} is set by stormc",
                            f"use {field}" if field else "remove it", at_key=True)  # fmt: skip


RULE = Rule(
    "E050", __doc__, check,
    source="vllm serve --help; compiler/stormc/payload/launch.py",
    bad=(
        Example("""
            decode:
              engineArgs:
                data-parallel-size: 16
            """, at="decode.engineArgs.data-parallel-size"),
        Example("""
            prefill:
              engineArgs:
                port: 9000
            """, at="prefill.engineArgs.port"),
        Example("""
            prefill:
              engineArgs:
                pipeline-parallel-size: 2
            """, at="prefill.engineArgs.pipeline-parallel-size"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-model-len: 8192
                data-parallel-rpc-port: 14000
            """),
    ),
)  # fmt: skip
