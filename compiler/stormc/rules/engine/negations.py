"""A flag can only be false where vLLM has its negation.

`false` is passed as `--no-x`. Where vLLM has no such flag, nothing is passed: the default holds, which may be on.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role in app.serving_roles:
        for name, flag in role.flags.items():
            kind = role.facts.flags.get(name)
            if flag.value is False and kind == "once":
                text = phrase(
                    "{role}: vLLM {vllm} has no --no-{name}: false is not passed",
                    role=role.name,
                    vllm=role.facts.vllm,
                    name=name,
                )
                yield Violation(flag.path, text, phrase("write null to say that the flag is not passed"))


RULE = Rule(
    "W704", __doc__, check,
    source="vllm vllm/engine/arg_utils.py, _compute_kwargs: BooleanOptionalAction for booleans of config "
    "classes only",
    bad=(
        Example("""
            decode:
              engineArgs:
                disable-log-stats: false
            """, at="decode.engineArgs.disable-log-stats"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                disable-log-stats: null
                enable-chunked-prefill: false
            """),
    ),
)  # fmt: skip
