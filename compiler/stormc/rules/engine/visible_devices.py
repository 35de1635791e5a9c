"""ASCEND_RT_VISIBLE_DEVICES names an NPU for every rank of a pod.

The launcher hands out what the variable names and refuses to start with too few.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

NAME = Env.RUNTIME_DEVICES


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        devices = {device.strip() for device in run.env.get(NAME, "").split(",")} - {""}
        if devices and len(devices) < run.role.npus_used:
            needed = run.role.npus_used
            text = phrase(
                "{role}: {name} names {length} of the {needed} NPUs that the ranks of a pod need",
                role=run.role.name,
                name=NAME,
                length=len(devices),
                needed=needed,
            )
            path = service.wrote_env(run.role.name, run.role.name, NAME)
            yield Violation(path, text, phrase("leave it out: the launcher counts from 0"))


RULE = Rule(
    "E710", __doc__, check,
    source="compiler/stormc/payload/launch.py, plan",
    bad=(
        Example("""
            decode:
              env:
                ASCEND_RT_VISIBLE_DEVICES: '0,1'
            """, at="decode.env.ASCEND_RT_VISIBLE_DEVICES"),
        Example("""
            prefill:
              env:
                ASCEND_RT_VISIBLE_DEVICES: 0,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14
            """, at="prefill.env.ASCEND_RT_VISIBLE_DEVICES"),
    ),
    instead=(
        Example("""
            prefill:
              env:
                ASCEND_RT_VISIBLE_DEVICES: 15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
