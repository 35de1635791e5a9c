"""The release of vllm-ascend is known.

Flags, connectors and what the engine refuses differ between releases. The image's tag names the release,
engine.version does where a digest or a tag of your own does not; otherwise the newest stable release is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if not app.prefill.facts_known or not app.decode.facts_known:
        role = app.decode if app.prefill.facts_known else app.prefill
        path = ("engine", "version") if app.engine.version else ("image",)
        yield Violation(
            path,
            phrase("which vllm-ascend runs cannot be told: {release} is assumed", release=role.facts.release),
            phrase("set engine.version, such as 0.23; stormc engines lists the releases"),
        )


RULE = Rule(
    "I700", __doc__, check,
    source="compiler/stormc/load/engines.py",
    bad=(
        Example("""
            image: vllm-ascend:nightly
            """, at="image"),
        Example("""
            image: vllm-ascend:v0.12.0
            engine:
              version: '0.17'
            """, at="engine.version"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:nightly
            engine:
              version: 0.12
            """),
    ),
)  # fmt: skip
