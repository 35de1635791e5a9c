"""The release can do what the sizes ask for.

Pipeline stages and context-parallel ranks came one by one and do not go together with everything. vLLM or the
connector raises at the start.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.flags import SIZE_FLAGS
from stormc.model.profile import Platform
from stormc.model.role import Role
from stormc.phrase import Phrase, phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        for field, text, hint in _refused(app, role):
            flag = SIZE_FLAGS.get(field, "")
            path: Path = role.flag_path(flag) if flag in role.flags else (role.name, field)
            yield Violation(
                path,
                phrase("{role}: {text}, in release {release}", role=role.name, text=text, release=role.facts.release),
                hint,
            )


def _refused(app: App, role: Role) -> Iterator[tuple[str, Phrase, Phrase]]:
    facts, refuses = role.facts, role.facts.refuses
    stages, context = role.pipeline_parallel, role.prefill_context
    for field, flag, size in (
        ("pipelineParallel", "pipeline-parallel-size", stages),
        ("prefillContextParallel", "prefill-context-parallel-size", context),
        ("decodeContextParallel", "decode-context-parallel-size", role.decode_context),
        ("podGroupSize", "nnodes", 2 if role.spans_pods else 1),
    ):
        if size > 1 and flag not in facts.flags:
            yield (
                field,
                phrase("vLLM {vllm} has no --{flag}", vllm=facts.vllm, flag=flag),
                phrase("take 1, or a later image"),
            )
            return
    one_of_two = phrase("set one of the two to 1")
    if stages > 1 and role.name == "decode" and "decode-pipeline" in refuses:
        text = phrase("decode runs in one pipeline stage only")
        yield "pipelineParallel", text, phrase("remove it: pipeline stages are for prefill")
    if context > 1 and "context-at-all" in refuses:
        yield "prefillContextParallel", phrase("vLLM takes 1 only"), phrase("remove it, or take a later image")
    elif context > 1 and role.data_parallel > 1 and "context-with-data" in refuses:
        yield "prefillContextParallel", phrase("context and data parallelism exclude each other"), one_of_two
    elif context > 1 and stages > 1 and "pipeline-with-context" in refuses:
        yield "prefillContextParallel", phrase("context and pipeline parallelism exclude each other"), one_of_two
    elif context > 1 and role.name == "decode" and "layerwise-context" in refuses and "Layerwise" in app.connector:
        yield "prefillContextParallel", phrase("the layerwise connector wants 1 in decode"), phrase("remove it")
    if role.tensor_parallel % role.decode_context and "decode-context-divides" in refuses:
        text = phrase("it does not divide tensorParallel {size}", size=role.tensor_parallel)
        yield "decodeContextParallel", text, phrase("take a divisor")


RULE = Rule(
    "E726", __doc__, check,
    source="stormc engines RELEASE, refuses: each with file and line",
    bad=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            decode:
              podGroupSize: 4
              pipelineParallel: 2
            """, at="decode.pipelineParallel"),
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            prefill:
              tensorParallel: 4
              prefillContextParallel: 2
            """, at="prefill.prefillContextParallel"),
        Example("""
            image: vllm-ascend:v0.11.0
            prefill:
              tensorParallel: 4
              prefillContextParallel: 2
            """, at="prefill.prefillContextParallel"),
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            prefill:
              decodeContextParallel: 3
            """, at="prefill.decodeContextParallel"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            prefill:
              dataParallel: 1
              tensorParallel: 8
              prefillContextParallel: 2
              decodeContextParallel: 4
            """),
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            prefill:
              tensorParallel: 4
              pipelineParallel: 2
            """),
    ),
)  # fmt: skip
