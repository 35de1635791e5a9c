"""vLLM has every flag that is passed.

vLLM refuses a flag that it does not know, and the pod restarts again and again. Where a plugin adds the flag, the
warning can be suppressed.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import MOST_GUESSES, did_you_mean
from stormc.phrase import NONE, phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        negated = () if run.own_command else (flag for flag, given in run.role.flags.items() if given.value is False)
        flags = run.role.facts.flags
        passed = dict.fromkeys((*run.flags, *negated))
        unknown = [flag for flag in passed if flag not in flags and flag.removeprefix("no-") not in flags]
        for number, flag in enumerate(unknown):
            yield _unknown(run, flag, guess=number < MOST_GUESSES)


def _unknown(run: Run, flag: str, guess: bool) -> Violation:
    role, facts = run.role.name, run.role.facts
    if flag in facts.removed_flags:
        message = phrase(
            "{role}: vllm serve of release {release} has no --{flag} any more",
            role=role,
            release=facts.release,
            flag=flag,
        )
        hint = phrase("it went after {removed_flags}: remove it", removed_flags=facts.removed_flags[flag])
    else:
        message = phrase(
            "{role}: vllm serve of release {release} does not know --{flag}",
            role=role,
            release=facts.release,
            flag=flag,
        )
        guessed = did_you_mean(flag, facts.flags) if guess else NONE
        hint = guessed or phrase("stormc engines {release} lists them", release=facts.release)
    return Violation(run.at(flag), message, hint, at_key=not run.own_command)


RULE = Rule(
    "W702", __doc__, check,
    source="vllm vllm/engine/arg_utils.py and vllm/entrypoints/openai/cli_args.py of each release, read by "
    "tools/engine_facts.py",
    bad=(
        Example("""
            decode:
              engineArgs:
                max-num-seq: 64
            """, at="decode.engineArgs.max-num-seq"),
        Example("""
            engine:
              args:
                gpu-memory-utilisation: 0.9
            """, at="engine.args.gpu-memory-utilisation"),
        Example("""
            decode:
              engineArgs:
                enable-chunked-prefil: false
            """, at="decode.engineArgs.enable-chunked-prefil"),
        Example("""
            image: vllm-ascend:v0.23.0
            prefill:
              engineArgs:
                swap-space: 4
            """, at="prefill.engineArgs.swap-space"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max_num_seqs: 64
                compilation-config.cudagraph_mode: NONE
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
