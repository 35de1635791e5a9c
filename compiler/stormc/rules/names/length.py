"""The name leaves room for the suffixes of AIBrix's pod names.

A pod is named <name>-roleset-<5>-<role>-<hash>-<i>[-<j>] and uses that as its hostname, which has 63 characters.
One more and no pod is created; with podGroupSize above 1 the StormService cannot even be deleted again.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    grouped = any(role.pod_group_size > 1 for role in app.serving_roles)
    limit = limits.NAME_MAX_GROUP if grouped else limits.NAME_MAX_SINGLE
    reason = phrase("podGroupSize above 1") if grouped else phrase("podGroupSize 1")
    if app.prefill.replicas > 100 and not grouped:
        limit, reason = limit - 1, phrase("a prefill index of three digits")
    if len(app.name) > limit:
        yield Violation(
            ("name",),
            phrase(
                "name {app} has {length} characters, with {reason} the limit is {limit}",
                app=app.name,
                length=len(app.name),
                reason=reason,
                limit=limit,
            ),
            phrase("shorten the name"),
        )


RULE = Rule(
    "E040", __doc__, check,
    source="AIBrix v0.5.0 roleset/utils.go:98-100, podset_controller.go:402-456, issue 1766",
    bad=(
        Example("""
            name: a-name-of-21-characte
            """, at="name"),
        Example("""
            name: a-name-of-twenty-eight-chara
            decode:
              podGroupSize: 1
              dataParallel: 16
            """, at="name"),
        Example("""
            name: a-name-of-twenty-seven-char
            prefill:
              replicas: 101
              distributedDp: false
              spBlock: 16
            decode:
              podGroupSize: 1
              dataParallel: 16
              spBlock: 16
            """, at="name"),
    ),
    instead=(
        Example("""
            name: a-name-of-20-charact
            """),
    ),
    good=(
        Example("""
            name: a-name-of-twenty-seven-char
            decode:
              podGroupSize: 1
              dataParallel: 16
            """),
    ),
)  # fmt: skip
