"""An override leaves kind, name and namespace alone.

Files, Services and the proxy's topology are derived from them; a patched name would leave the others behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for index, override in enumerate(app.overrides):
        for path in _identity_paths(override.patch):
            yield Violation(
                ("overrides", index, "patch", *path.split(".")),
                phrase("overrides[{index}] changes {path}", index=index, path=path),
                phrase("remove it; name and namespace are fields of the spec"),
            )


def _identity_paths(patch: Mapping[str, Any]) -> Iterator[str]:
    for path in IDENTITY:
        head, _, tail = path.partition(".")
        if head in patch and (not tail or not isinstance(patch[head], dict)):
            yield head
            if tail:
                return
        elif head in patch and tail in patch[head]:
            yield path


RULE = Rule(
    "E049", __doc__, check,
    source="docs/architecture.md, pass overrides",
    bad=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                metadata:
                  name: x
            """, at="overrides[0].patch.metadata.name"),
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                metadata: null
            """, at="overrides[0].patch.metadata"),
    ),
    instead=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              patch:
                metadata:
                  labels:
                    a: b
            """),
    ),
    only_when_overridden=True,
)  # fmt: skip
