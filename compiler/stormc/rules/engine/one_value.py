"""A flag has one value in one place.

vLLM takes `max_num_seqs`, `--max-num-seqs` and `max-num-seqs` for one flag, and `no-x` for x that is false. Where one
mapping gives two values the last one counts, which is seldom what a reader of the spec expects.
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
            if flag.contradicts:
                first, last = flag.contradicts[-1], flag.path[-1]
                message = phrase(
                    "{role}: {first} and {last} give --{name} two values, the last counts",
                    role=role.name, first=first, last=last, name=name,
                )  # fmt: skip
                yield Violation(flag.path, message, phrase("remove {first} or {last}", first=first, last=last),
                                at_key=True)  # fmt: skip


RULE = Rule(
    "W734", __doc__, check,
    source="vllm vllm/utils/argparse_utils.py, FlexibleArgumentParser",
    bad=(
        Example("""
            decode:
              engineArgs:
                max-num-seqs: 64
                max_num_seqs: 32
            """, at="decode.engineArgs.max_num_seqs"),
        Example("""
            engine:
              args:
                no-enable-prefix-caching: true
                enable-prefix-caching: true
            """, at="engine.args.enable-prefix-caching"),
    ),
    instead=(
        Example("""
            engine:
              args:
                max-num-seqs: 64
            decode:
              engineArgs:
                max_num_seqs: 32
            """),
    ),
)  # fmt: skip
