"""The engine's release reads every VLLM_ variable that is set.

vLLM ignores a variable that it does not know. One that only an older release read has no effect, and no message says
so.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.finding import MOST_GUESSES, did_you_mean
from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        facts = run.role.facts
        guesses = 0
        for name in sorted(run.env):
            if not name.startswith("VLLM_") or name in facts.env:
                continue
            path = service.wrote_env(run.role.name, run.role.name, name)
            if name in facts.removed_env:
                last = facts.removed_env[name]
                text = phrase(
                    "release {release} does not read {name} any more, the last to do so was {last}",
                    release=facts.release,
                    name=name,
                    last=last,
                )
                replaced = facts.renamed_env.get(name)
                yield Violation(
                    path,
                    text,
                    phrase("write {replaced} in engineArgs", replaced=replaced) if replaced else phrase("remove it"),
                    at_key=True,
                )
            elif (guesses := guesses + 1) <= MOST_GUESSES and (hint := did_you_mean(name, facts.env)):
                yield Violation(
                    path,
                    phrase("release {release} does not read {name}", release=facts.release, name=name),
                    hint,
                    at_key=True,
                )


RULE = Rule(
    "W722", __doc__, check,
    source="vllm/envs.py and vllm_ascend of each release, read by tools/engine_facts.py",
    bad=(
        Example("""
            engine:
              env:
                VLLM_USE_V1: 1
            """, at="engine.env.VLLM_USE_V1"),
        Example("""
            decode:
              env:
                VLLM_LOGING_LEVEL: DEBUG
            """, at="decode.env.VLLM_LOGING_LEVEL"),
    ),
    instead=(
        Example("""
            decode:
              env:
                VLLM_LOGGING_LEVEL: DEBUG
                VLLM_MY_PLUGINS_OWN_SETTING_OF_THE_HOUSE: 1
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
