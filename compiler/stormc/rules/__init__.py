"""Every rule, in one literal tuple. Rules look, report, and change nothing.

Ids: the number is that of the fact of MindCluster's rules (R01…R45) where one exists, 046…049 are about the spec,
050…099 about AIBrix, Kubernetes and the repository. An id is never used for anything else again. E101…E502 are not
rules but what other rooms report (compiler/rules/checks.py).
"""

from __future__ import annotations

from stormc.rules import (
    directories,
    engine,
    faults,
    hardware,
    images,
    known_keys,
    names,
    overrides,
    owned_keys,
    parallelism,
    pods,
    repository,
    scheduling,
    super_pod,
    workload,
)
from stormc.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *scheduling.RULES,
    *faults.RULES,
    *hardware.RULES,
    *super_pod.RULES,
    *owned_keys.RULES,
    *known_keys.RULES,
    *parallelism.RULES,
    *engine.RULES,
    *directories.RULES,
    *images.RULES,
    *names.RULES,
    *overrides.RULES,
    *workload.RULES,
    *pods.RULES,
    *repository.RULES,
)
