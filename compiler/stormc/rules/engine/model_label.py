"""With a gateway, model.name is a valid label value.

AIBrix's gateway finds pods by the label model.aibrix.ai/name, and the API server refuses pods whose label has a
slash or more than 63 characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if app.gateway != "off" and not _is_label_value(app.model.name):
        yield Violation(
            ("model", "name"),
            phrase(
                "model.name {model} is not a label value, which gateway {gateway} needs",
                model=app.model.name,
                gateway=app.gateway,
            ),
            phrase("set gateway: off, or choose a name without '/' of at most 63 characters"),
        )


def _is_label_value(text: str) -> bool:
    between = text.replace("-", "").replace("_", "").replace(".", "")
    ends = text[:1] + text[-1:]
    return text.isascii() and between.isalnum() and ends.isalnum() and len(text) <= limits.LABEL_BYTES


RULE = Rule(
    "E065", __doc__, check,
    source="AIBrix v0.5.0 pkg/cache/informers.go:96-124; Kubernetes label syntax",
    bad=(
        Example("""
            model:
              name: Qwen/Qwen3-8B
            """, at="model.name"),
    ),
    instead=(
        Example("""
            model:
              name: Qwen3-8B
            """),
        Example("""
            gateway: 'off'
            model:
              name: Qwen/Qwen3-8B
            """),
    ),
)  # fmt: skip
