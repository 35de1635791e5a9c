"""Checking documents against the tables: normal forms with every default, or findings on the user's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from stormc.facts.scheduling import SUPER_POD_POLICIES
from stormc.finding import Finding, Path, dotted, shown
from stormc.model import schema
from stormc.model.accept import Accept, NotAccepted, acceptor
from stormc.model.checks import CONTRADICTION, MISSING, UNKNOWN_KEY, WRONG_TYPE
from stormc.model.layers import Layered, finding_at
from stormc.model.other_kinds import other_kind
from stormc.model.tables import TABLES
from stormc.phrase import phrase

Fields = dict[str, Any]


@cache
def _accept(section: str) -> Accept:
    return acceptor(TABLES[section])


@cache
def _accept_part(section: str) -> Accept:
    """As `_accept`, for fields of which others may be missing."""
    whole = ("required", "default", "default_setter")
    table = {name: {k: v for k, v in rules.items() if k not in whole} for name, rules in TABLES[section].items()}
    return acceptor(table)


def _check(layered: Layered, section: str, at: Path, value: Mapping[str, Any]) -> tuple[Fields | None, list[Finding]]:
    """The normal form of a section, or the findings on it."""
    try:
        normal: Fields = _accept(section)(value)
        return normal, []
    except NotAccepted:
        from stormc.model.wording import judge  # brings Cerberus, which a valid spec does without

        return judge(layered, section, at, value)


def check_app(layered: Layered) -> tuple[Fields | None, list[Finding]]:
    """The app's normalised fields, or the findings that tell what is wrong with them."""
    if (other := other_kind(layered, "App")) is not None:
        return None, [other]
    normal, findings = _check(layered, "app", (), layered.data)
    result: Fields = dict(normal or {})
    for section in schema.SECTIONS:
        value = layered.data.get(section)
        if value is None and schema.APP[section].get("required"):
            continue
        if value is None or isinstance(value, dict):
            result[section], problems = _check(layered, section, (section,), value or {})
            findings += problems
    overrides = layered.data.get("overrides")
    for index, override in enumerate(overrides if isinstance(overrides, list) else ()):
        at: Path = ("overrides", index)
        if isinstance(override, dict):
            findings += _check(layered, "override", at, override)[1]
        else:
            message = phrase("{at} must be a mapping, got {override}", at=dotted(at), override=shown(override))
            hint = phrase("write its fields below it, indented") if override is not None else phrase("give it a value")
            findings.append(finding_at(layered, WRONG_TYPE, at, message, hint))
    return (None if findings else result), _without_follow_ups(findings)


def _without_follow_ups(findings: list[Finding]) -> list[Finding]:
    """Drops 'x is missing' where a misspelt key beside it was meant to be x."""
    meant = {(f.file, *f.path[:-1], f.meant) for f in findings if f.rule == UNKNOWN_KEY and f.meant}
    misplaced = {str(f.path[-1]) for f in findings if f.rule == UNKNOWN_KEY and not f.meant}
    return [
        f
        for f in findings
        if f.rule != MISSING or ((f.file, *f.path) not in meant and str(f.path[-1]) not in misplaced)
    ]


def check_platform(layered: Layered) -> tuple[Fields | None, list[Finding]]:
    """The platform file's fields, or findings; its defaults are checked as far as a part of an app can be."""
    if (other := other_kind(layered, "Platform")) is not None:
        return None, [other]
    normal, findings = _check(layered, "platform", (), layered.data)
    defaults = layered.data.get("defaults")
    if isinstance(defaults, dict):
        findings += _check_defaults(layered, defaults)
    return (None if findings else normal), _without_follow_ups(findings)


def _check_defaults(layered: Layered, defaults: Mapping[str, Any]) -> Iterator[Finding]:
    for field in schema.NOT_IN_DEFAULTS:
        if field in defaults:
            at: Path = ("defaults", field)
            yield finding_at(
                layered,
                UNKNOWN_KEY,
                at,
                phrase("{at} belongs into each app", at=dotted(at)),
                phrase("move it there"),
                key=True,
            )
    fields = {
        key: value
        for key, value in defaults.items()
        if key not in schema.NOT_IN_DEFAULTS and (value is not None or key not in schema.APP)
    }
    yield from _partial(layered, "app", ("defaults",), fields)
    for section in schema.SECTIONS:
        value = fields.get(section)
        if isinstance(value, dict):
            yield from _partial(layered, section, ("defaults", section), value)


def _partial(layered: Layered, section: str, at: Path, value: Mapping[str, Any]) -> list[Finding]:
    try:
        _accept_part(section)(value)
        return []
    except NotAccepted:
        from stormc.model.wording import judge_part

        return judge_part(layered, section, at, value)


def check_profile(layered: Layered) -> tuple[Fields | None, list[Finding]]:
    """The profile's fields, or findings."""
    if (other := other_kind(layered, "Profile")) is not None:
        return None, [other]
    normal, findings = _check(layered, "profile", (), layered.data)
    findings = _without_follow_ups(findings)
    return normal, findings or list(_profile_contradictions(layered, normal or {}))


def _profile_contradictions(layered: Layered, profile: Mapping[str, Any]) -> Iterator[Finding]:
    policy: str = profile["schedulePolicy"]
    has_super_pods = policy in SUPER_POD_POLICIES
    if profile["superPod"] != has_super_pods:
        hint = phrase("set superPod: {lower}, or choose another policy", lower=str(has_super_pods).lower())
        yield finding_at(
            layered,
            CONTRADICTION,
            ("superPod",),
            phrase("superPod contradicts schedulePolicy {policy}", policy=policy),
            hint,
        )
    node = re.match(r"chip\d+-node(\d+)", policy)
    if node and int(node[1]) != profile["npus"]:
        message = phrase("npus {npus} is not the node of schedulePolicy {policy}", npus=profile["npus"], policy=policy)
        yield finding_at(
            layered, CONTRADICTION, ("npus",), message, phrase("set {node}, or choose another policy", node=node[1])
        )
    elif max(profile["podNpus"]) > profile["npus"]:
        message = phrase(
            "podNpus go up to {pod_npus}, a node has {npus}", pod_npus=max(profile["podNpus"]), npus=profile["npus"]
        )
        yield finding_at(layered, CONTRADICTION, ("podNpus",), message, phrase("at most {npus}", npus=profile["npus"]))
