"""The name leaves room for the suffixes of AIBrix's pod names.

A pod is named <name>-roleset-<5>-<role>-<hash>-<i>[-<j>] and uses that as its hostname, which has 63 characters.
One more and no pod is created; with podGroupSize above 1 the StormService cannot even be deleted again. The hash has
10 characters in AIBrix v0.5, and 6 from v0.6 on, which denies a name that is too long for the longest role with groups.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    limit, reason = longest_single(app, platform), phrase("podGroupSize 1")
    if app.prefill.replicas > 100:
        reason = phrase("a prefill index of three digits")
    grouped = [role.name for role in app.serving_roles if role.pod_group_size > 1]
    if grouped and longest_grouped(grouped) < limit:
        limit, reason = longest_grouped(grouped), phrase("podGroupSize above 1")
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


def longest_single(app: App, platform: Platform) -> int:
    """The characters that pods of their own leave to the name. Their index may grow to two digits at least."""
    digits = max(2, 2, *(len(str(role.replicas - 1)) for role in app.serving_roles if role.pod_group_size == 1))
    return limits.POD_NAME_MAX - limits.POD_NAME_SUFFIX - len(limits.ROUTING) - platform.aibrix.hash_length - digits


def longest_grouped(roles: list[str]) -> int:
    """The characters that AIBrix's webhook leaves to the name beside the longest role with groups.

    That is less than their pods' names leave, on every release.
    """
    return limits.POD_NAME_MAX - limits.GROUP_SUFFIX - max(map(len, roles))


RULE = Rule(
    "E040", __doc__, check,
    source="AIBrix v0.5.0 roleset/utils.go:98-100, podset_controller.go:402-456, issue 1766; v0.6.0 webhook; watched",
    bad=(
        Example("""
            name: a-name-of-22-character
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
            name: a-name-of-21-characte
            """),
    ),
    good=(
        Example("""
            name: a-name-of-twenty-seven-char
            decode:
              podGroupSize: 1
              dataParallel: 16
            """),
        Example("""
            name: a-name-of-thirty-one-characters
            decode:
              podGroupSize: 1
              dataParallel: 16
            """, platform="""
            aibrix: v0.6.0
            """),
    ),
)  # fmt: skip
