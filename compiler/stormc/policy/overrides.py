"""Which paths overrides may change, who answers for them, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path, dotted
from stormc.model.app import Override
from stormc.phrase import phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import OVERRIDE
from stormc.policy.policy import Policy, matches


def overrides(case: Case) -> Iterator[Breach]:
    """Which paths overrides change, who answers for them, and whether they end."""
    for index, override in enumerate(case.app.overrides):
        yield from _denied(case.policy, index, override)
        yield from _not_allowed(case.policy, index, override)
        at: Path = ("overrides", index)
        for number, approvers in case.policy.values("overrides", "approvers"):
            if override.owner not in approvers:
                message = phrase("overrides[{index}].owner is not an approver", index=index)
                hint = phrase("approvers: {approvers}", approvers=", ".join(approvers))
                yield Breach(OVERRIDE.forbidden.id, (*at, "owner"), message, hint, number)
                break
        for number, _ in case.policy.values("overrides", "expires"):
            if not override.expires:
                message = phrase("overrides[{index}] has no last day", index=index)
                yield Breach(OVERRIDE.forbidden.id, at, message, phrase("add expires: YYYY-MM-DD"), number)
                break


def _denied(policy: Policy, index: int, override: Override) -> Iterator[Breach]:
    """The first path that each layer denies."""
    for number, patterns in policy.values("overrides", "deny"):
        for path in _leaves(override.patch, ()):
            pattern = next((each for each in patterns if covers(each, _steps(override, path))), None)
            if pattern:
                at: Path = ("overrides", index, "patch", *path)
                hint = phrase("{file} denies {pattern}", file=policy.layers[number].file, pattern=pattern)
                yield Breach(OVERRIDE.forbidden.id, at, phrase("{path} is denied", path=dotted(at)), hint, number)
                break


def _not_allowed(policy: Policy, index: int, override: Override) -> Iterator[Breach]:
    """The first path that each layer does not allow. A collection on the way to an allowed path is no change."""
    for number, patterns in policy.values("overrides", "allow"):
        for path in _leaves(override.patch, ()):
            if not any(covers(each, _steps(override, path)) for each in patterns):
                at: Path = ("overrides", index, "patch", *path)
                file = policy.layers[number].file
                hint = phrase("{file} allows: {patterns}", file=file, patterns=", ".join(patterns))
                yield Breach(OVERRIDE.forbidden.id, at, phrase("{path} is not allowed", path=dotted(at)), hint, number)
                break


def _leaves(node: Any, path: Path) -> Iterator[Path]:
    """The paths of everything that a patch says, list items by number; the collections on the way come first."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        yield (*path, step)
        yield from _leaves(value, (*path, step))


def _steps(override: Override, path: Path) -> tuple[str, ...]:
    return (override.kind, *map(str, path))


def covers(pattern: str, steps: tuple[str, ...]) -> bool:
    """Whether a pattern of a policy stands for a path of a patch, or for one it lies in: `**.securityContext`."""
    pattern_steps = pattern.split(".")
    for start in (0, 1):
        reached = _spread(pattern_steps, {0})
        for step in steps[start:]:
            if len(pattern_steps) in reached:
                return True
            stays = {at for at in reached if pattern_steps[at] == "**"}
            moves = {at + 1 for at in reached if pattern_steps[at] != "**" and matches(pattern_steps[at], step)}
            reached = _spread(pattern_steps, stays | moves)
        if len(pattern_steps) in reached:
            return True
    return False


def _spread(pattern_steps: list[str], reached: set[int]) -> set[int]:
    """The places of a pattern that are reached without a further step: ** may stand for none."""
    spread = set(reached)
    for at, step in enumerate(pattern_steps):
        if at in spread and step == "**":
            spread.add(at + 1)
    return spread
