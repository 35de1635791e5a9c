"""An instance of several pods needs retries to survive the crash of a process.

AIBrix does not replace a failed pod of a PodSet, whose name is still taken; only Volcano deletes it, and only
with retries. Without them the instance stays broken until somebody deletes the pod.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if app.faults.retries or app.faults.scheduling == "off":
        return
    for role in app.serving_roles:
        if role.pod_group_size > 1:
            yield Violation(
                ("faults", "retries"),
                phrase(
                    "a crashed process of {role}, podGroupSize {pod_group_size}, is not recovered with retries 0",
                    role=role.name,
                    pod_group_size=role.pod_group_size,
                ),
                phrase("set faults.retries above 0"),
            )
            return


RULE = Rule(
    "W013", __doc__, check,
    source="AIBrix v0.5.0 podset/podset_controller.go:218-303, 485-493",
    bad=(
        Example("""
            faults:
              retries: 0
            """, at="faults.retries"),
    ),
    instead=(
        Example("""
            faults:
              retries: 3
            """),
    ),
    good=(
        Example("""
            faults:
              retries: 0
            decode:
              podGroupSize: 1
              dataParallel: 16
            """),
        Example("""
            faults:
              retries: 0
              scheduling: 'off'
            """),
    ),
)  # fmt: skip
