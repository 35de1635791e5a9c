"""Every rule, in one literal tuple. Rules look at the model, report, and change nothing."""

from __future__ import annotations

from compiler.rules import hardware, names, overrides, owned_keys, parallelism, super_pod
from compiler.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *hardware.RULES,
    *super_pod.RULES,
    *owned_keys.RULES,
    *parallelism.RULES,
    *names.RULES,
    *overrides.RULES,
)
