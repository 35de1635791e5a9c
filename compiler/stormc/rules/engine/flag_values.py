"""The value of a flag has the type, choice and range that vLLM takes.

argparse refuses anything else, and the engine ends before it has loaded a byte. Numbers are written without exponent,
a JSON value has to be JSON, and what is a share lies between 0 and 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stormc.facts.limits import PORT_MAX
from stormc.finding import did_you_mean, shown
from stormc.phrase import Phrase, phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

RANGES: dict[str, tuple[float, float]] = {
    "gpu-memory-utilization": (0.01, 1),
    "max-num-seqs": (1, 1_000_000),
    "max-num-batched-tokens": (1, 1_000_000_000),
    "block-size": (1, 65536),
    "port": (1, PORT_MAX),
    "data-parallel-rpc-port": (1, PORT_MAX),
    "master-port": (1, PORT_MAX),
    "tensor-parallel-size": (1, 65536),
    "pipeline-parallel-size": (1, 65536),
    "data-parallel-size": (1, 65536),
    "decode-context-parallel-size": (1, 65536),
    "prefill-context-parallel-size": (1, 65536),
    "api-server-count": (1, 65536),
    "max-loras": (1, 65536),
    "max-logprobs": (-1, 10_000_000),
}
"""Values for which vLLM's own validation of its config classes is known (vllm/config/)."""
NESTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("compilation-config", "cudagraph_mode"): (
        "NONE", "PIECEWISE", "FULL", "FULL_DECODE_ONLY", "FULL_AND_PIECEWISE",
    ),
}  # fmt: skip
"""Words that a key of a JSON flag takes, in any case (vllm/config/compilation.py, CUDAGraphMode)."""
COUNTS = (("speculative-config", "num_speculative_tokens"),)
"""Keys of JSON flags whose value is a whole number from 1 on (vllm/config/speculative.py)."""
_ANY = (-float("inf"), float("inf"))
_NUMBERS = {
    "int": (r"-?[0-9]+", phrase("a whole number")),
    "size": (r"-1|auto|[0-9]+|[0-9]+(\.[0-9]+)?[kKmMgGtT]", phrase("a whole number, such as 32768 or 32k")),
    "float": (r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?", phrase("a number")),
}


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        for flag, value in run.flags.items():
            problem = _problem(flag, value, run.role.facts.flags.get(flag))
            if problem:
                message = phrase(
                    "{role}: --{flag} is {value}, vLLM wants {problem}",
                    role=run.role.name,
                    flag=flag,
                    value=shown(value),
                    problem=problem[0],
                )
                yield Violation(run.at(flag), message, problem[1])
        yield from _nested(run)


def _nested(run: Run) -> Iterator[Violation]:
    """What is wrong with the keys of JSON flags that are known."""
    for (flag, key), (noun, hint) in _wrong_keys(run):
        config = run.mapping(flag)
        message = phrase(
            "{role}: {key} of --{flag} is {value}, vLLM wants {problem}",
            role=run.role.name,
            key=key,
            flag=flag,
            value=shown(config[key]),
            problem=noun,
        )
        yield Violation(run.at(flag) if run.own_command else (*run.at(flag), key), message, hint)


def _wrong_keys(run: Run) -> Iterator[tuple[tuple[str, str], tuple[Phrase, Phrase]]]:
    for (flag, key), words in NESTED.items():
        value = run.mapping(flag).get(key)
        if isinstance(value, str) and value.upper() not in words:
            known = ", ".join(words)
            hint = did_you_mean(value.upper(), words) or phrase("known: {words}", words=known)
            yield (flag, key), (phrase("one of {words}", words=known), hint)
    for flag, key in COUNTS:
        value = run.mapping(flag).get(key)
        if isinstance(value, (int, float)) and (type(value) is not int or value < 1):
            stretch = phrase("a whole number from 1 on")
            yield (flag, key), (stretch, phrase("write {noun}", noun=stretch))


def _problem(flag: str, value: Any, kind: Any) -> tuple[Phrase, Phrase] | None:
    """What vLLM wants instead of a value, and what to write; None where the value is right or nothing is known."""
    if isinstance(kind, str) and kind in _NUMBERS:
        return _problem_of_number(flag, value, kind)
    if isinstance(kind, dict):
        items = value if isinstance(value, list) else [value]
        return next(filter(None, (_problem("", item, kind["words"]) for item in items)), None)
    if isinstance(kind, list):
        fits = str(value) in map(str, kind) or flag == "kv-cache-dtype"
        words = ", ".join(map(str, kind))
        if fits:
            return None
        close = did_you_mean(str(value), map(str, kind))
        return phrase("one of {words}", words=words), close or phrase("known: {words}", words=words)
    if kind in ("switch", "once"):
        return None if isinstance(value, bool) else (phrase("no value"), phrase("write true or false"))
    if kind == "json" and not isinstance(value, (dict, list)):
        empty = value in ("", "None", "null") or (flag == "compilation-config" and str(value).isdigit())
        return None if empty else (phrase("JSON"), phrase("write a mapping, or JSON that is complete"))
    if isinstance(kind, str) and kind in ("text", "object") and value is True:
        return (phrase("a value"), phrase("give it one, or remove it"))
    return None


def _problem_of_number(flag: str, value: Any, kind: str) -> tuple[Phrase, Phrase] | None:
    pattern, noun = _NUMBERS[kind]
    is_whole = type(value) is int and value >= 0
    if not is_whole and (not re.fullmatch(pattern, str(value)) or isinstance(value, bool)):
        return None if str(value) in ("None", "") else (noun, phrase("write {noun}", noun=noun))
    low, high = RANGES.get(flag, _ANY)
    number = float(value) if is_whole or kind != "size" or str(value).lstrip("-").isdigit() else low
    if low <= number <= high:
        return None
    ends = [int(end) if float(end).is_integer() else end for end in (low, high)]
    stretch = phrase("{low}…{high}", low=ends[0], high=ends[1])
    return stretch, phrase("write a number in {stretch}", stretch=stretch)


RULE = Rule(
    "E703", __doc__, check,
    source="vllm vllm/engine/arg_utils.py, vllm/config/*.py; tools/engine_facts.py",
    bad=(
        Example("""
            decode:
              engineArgs:
                max-model-len: 1e5
            """, at="decode.engineArgs.max-model-len"),
        Example("""
            decode:
              engineArgs:
                max-num-seqs: -64
            """, at="decode.engineArgs.max-num-seqs"),
        Example("""
            decode:
              engineArgs:
                gpu-memory-utilization: 90
            """, at="decode.engineArgs.gpu-memory-utilization"),
        Example("""
            decode:
              engineArgs:
                speculative-config: '{"method": "mtp"'
            """, at="decode.engineArgs.speculative-config"),
        Example("""
            decode:
              engineArgs:
                compilation-config:
                  cudagraph_mode: FULL_DECODE
            """, at="decode.engineArgs.compilation-config.cudagraph_mode"),
        Example("""
            engine:
              args:
                speculative-config:
                  method: mtp
                  num_speculative_tokens: -1
            """, at="engine.args.speculative-config.num_speculative_tokens"),
        Example("""
            decode:
              engineArgs:
                scheduling-policy: fifo
            """, at="decode.engineArgs.scheduling-policy"),
        Example("""
            engine:
              args:
                enforce-eager: 1
            """, at="engine.args.enforce-eager"),
        Example("""
            engine:
              args:
                quantization: true
            """, at="engine.args.quantization"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-model-len: 100k
                max-num-seqs: 64
                gpu-memory-utilization: 0.9
                scheduling-policy: priority
                enforce-eager: true
                compilation-config:
                  cudagraph_mode: full_decode_only
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
